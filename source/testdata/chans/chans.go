// Package chans is source for the tests: a comment "waits:" says what the
// operation at its line waits on, as kind, then each channel with its origin,
// name and buffer.
package chans

import (
	"context"
	"net/http"
	"time"
)

type Server struct {
	done    chan struct{}
	results chan int
	mixed   chan int
	timer   *time.Timer
	ctx     context.Context
	hub     struct{ in chan string }
}

const size = 8

var global = make(chan error, size)

func New(n int) *Server {
	s := &Server{done: make(chan struct{}), mixed: make(chan int)}
	s.results = make(chan int, 2*size)
	s.hub.in = make(chan string, n)
	return s
}

func (s *Server) Reset() { s.mixed = make(chan int, 1) }

func use(...any) {}

func (s *Server) Run(ctx context.Context, in <-chan int, quit chan bool) {
	<-ctx.Done()   // waits: receive ctx.Done() context
	<-s.ctx.Done() // waits: receive s.ctx.Done() context
	<-s.done       // waits: receive s.done field Server.done 0
	s.results <- 1 // waits: send s.results field Server.results 16
	s.mixed <- 1   // waits: send s.mixed field Server.mixed
	s.hub.in <- "" // waits: send s.hub.in field Server.hub.in -1
	v, ok := <-in  // waits: receive in parameter parameter in in (*Server).Run
	use(v, ok)
	for x := range s.results { // waits: range s.results field Server.results 16
		use(x)
	}
	select { // waits: select ctx.Done() context; s.results! field Server.results 16; time.After(time.Second) timer; s.timer.C timer Server.timer; quit parameter parameter quit in (*Server).Run
	case <-ctx.Done():
	case s.results <- 3:
	case <-time.After(time.Second):
	case <-s.timer.C:
	case b, ok := (<-quit):
		use(b, ok)
	}
	select { // waits: select+default s.done field Server.done 0
	case <-s.done:
	default:
	}
	select {
	case x := <-s.done: // waits: receive s.done field Server.done 0
		use(x)
	}
	select {} // waits: select
}

func Local(r *http.Request) {
	errs := make(chan error)
	done := make(chan bool, 3)
	out := errs
	tick := time.NewTicker(time.Second)
	timeout := time.After(time.Minute)
	go func() {
		errs <- nil // waits: send errs local local variable errs in Local 0
	}()
	use(
		1,
		<-done, // waits: receive done local local variable done in Local 3
	)
	for range tick.C { // waits: range tick.C ticker tick.C in Local
	}
	<-timeout              // waits: receive timeout timer local variable timeout in Local
	<-out                  // waits: receive out local local variable errs in Local 0
	<-global               // waits: receive global package chans.global 8
	<-r.Context().Done()   // waits: receive r.Context().Done() context
	<-signals()            // waits: receive signals() call
	<-time.Tick(1)         // waits: receive time.Tick(1) ticker
	done <- true == <-done // waits: send done local local variable done in Local 3 | receive done local local variable done in Local 3
	for i := range 10 {
		use(i)
	}
	for i, b := range []byte("abc") {
		use(i, b)
	}
	type fake struct{ Done func() chan int }
	var ctx fake
	<-ctx.Done() // waits: receive ctx.Done() call
	chans := []chan int{nil}
	<-chans[0] // waits: receive chans[0] local local variable chans[0] in Local
}

func signals() chan int { return nil }
