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

func main() {
	f, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := trace.Start(f); err != nil {
		log.Fatal(err)
	}
	first := func() chan int { return make(chan int) }
	q, g, items := queue.New(), &group.Group{}, first()
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
