// Command shop leaks goroutines, from closures in functions that can be
// inlined, and holds a lock while it sleeps.
package main

import (
	"log"
	"os"
	"runtime/trace"
	"time"

	"example.com/shop/group"
	"example.com/shop/queue"
)

func push(g *group.Group, items chan int) { g.Go(func() { items <- 3 }) }

type cart struct{ items chan int }

func (c cart) add(g *group.Group) { g.Go(func() { c.items <- 4 }) }

func main() {
	f, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := trace.Start(f); err != nil {
		log.Fatal(err)
	}
	q, g, items := queue.New(), &group.Group{}, make(chan int)
	for range 4 {
		go func() {
			for {
				q.Tick()
			}
		}()
	}
	for range 24 {
		queue.Send(g, items)
		q.Fill(g)
		queue.Any(g, make(chan string))
		push(g, items)
		cart{items}.add(g)
		time.Sleep(50 * time.Millisecond)
	}
	trace.Stop()
}
