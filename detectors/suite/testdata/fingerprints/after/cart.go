package main

import "example.com/shop/group"

type cart struct{ items chan int }

func (c cart) add(g *group.Group) {
	var n func() int
	n = func() int { return 4 }
	g.Go(func() { c.items <- n() })
}

func push(g *group.Group, items chan int) {
	three := func() int { return 3 }
	g.Go(func() { items <- three() })
}
