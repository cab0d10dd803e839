// Package queue is the same as in before: in other files, at other lines, and
// with more closures ahead of those that leak.
package queue

import (
	"sync"
	"time"
)

type Queue struct {
	n     int
	mu    sync.Mutex
	items chan int
}

func New() *Queue {
	made := func() chan int { return make(chan int) }
	return &Queue{items: made()}
}

// Tick holds the lock while it sleeps.
func (q *Queue) Tick() {
	more := func() bool { return true }
	func() {
		if !more() {
			return
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		time.Sleep(time.Millisecond)
		q.n++
	}()
}
