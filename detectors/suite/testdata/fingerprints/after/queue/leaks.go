package queue

import "example.com/shop/group"

func Any[T any](g *group.Group, items chan T) {
	zero := func() T { var zero T; return zero }
	g.Go(func() {
		items <- zero()
	})
}

func (q *Queue) Fill(g *group.Group) {
	defer func() { _ = q.n }() // what defers is not inlined
	g.Go(func() {
		q.items <- 2
	})
}

func Send(g *group.Group, items chan int) {
	one := func() int { return 1 }
	g.Go(func() {
		items <- one()
	})
}
