package queue

import (
	"sync"
	"time"

	"example.com/shop/group"
)

type Queue struct {
	items chan int
	mu    sync.Mutex
	n     int
}

func New() *Queue { return &Queue{items: make(chan int)} }

// All of these can be inlined: the goroutines' names then begin with their caller's.

func Send(g *group.Group, items chan int) { g.Go(func() { items <- 1 }) }

func (q *Queue) Fill(g *group.Group) { g.Go(func() { q.items <- 2 }) }

func Any[T any](g *group.Group, items chan T) { g.Go(func() { var zero T; items <- zero }) }

// Tick holds the lock while it sleeps.
func (q *Queue) Tick() {
	func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		time.Sleep(time.Millisecond)
		q.n++
	}()
}
