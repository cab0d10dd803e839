// Package uses is source for the tests: "at:" names the frame at its line.
package uses

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"time"
)

type box struct{ c chan int }

func price(int) int { return 0 }

func ask(ctx context.Context, item int) int {
	answer := make(chan int)
	go func() { // at: ask-go
		answer <- price(item) // at: ask-send
	}()
	select { // at: ask-select
	case p := <-answer:
		return p
	case <-ctx.Done():
		time.Sleep(time.Second) // at: ask-late
		return 0
	}
}

func firstError(checks []func() error) error {
	verdicts := make(chan error, 1)
	for _, c := range checks {
		go func() { // at: verdict-go
			verdicts <- c() // at: verdict-send
		}()
	}
	for range checks {
		if err := <-verdicts; err != nil { // at: verdict-receive
			return err
		}
	}
	return nil
}

func export() {
	rows := make(chan int)
	go write(rows) // at: export-go
	for i := 0; i < 9; i++ {
		rows <- i // at: export-send
	}
	time.Sleep(time.Second) // at: export-after
}

func write(rows <-chan int) {
	for range rows { // at: write-range
	}
}

func generate() <-chan int {
	c := make(chan int)
	go func() { // at: generate-go
		defer close(c)
		c <- 1 // at: generate-send
	}()
	return c
}

func consume() {
	in := generate()    // at: consume-call
	for v := range in { // at: consume-range
		_ = v
	}
	time.Sleep(1) // at: consume-after
}

func kept(b *box) {
	c := make(chan int)
	b.c = c
	<-c // at: kept
}

func field(b *box) {
	<-b.c // at: field
}

func signals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c // at: signals
}

func two() {
	a, b := make(chan int), make(chan int)
	price(<-a + <-b) // at: two
}

func nobody() {
	c := make(chan int)
	<-c // at: nobody
}

func deferred() {
	c := make(chan int)
	defer close(c)
	go func() { // at: deferred-go
		<-c // at: deferred-receive
	}()
	time.Sleep(1) // at: deferred-after
}

func newFunc() func(int) bool {
	work := make(chan int)
	start := func() {
		go write(work) // at: pool-go
	}
	start()
	return func(n int) bool {
		select {
		case work <- n:
			return true
		default:
			return false
		}
	}
}

func newHandler() http.Handler {
	work := make(chan int)
	go write(work) // at: handler-go
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { work <- 1 })
}

type service struct{ do func() }

func newService() *service {
	work := make(chan int)
	go write(work) // at: service-go
	do := func() { work <- 1 }
	return &service{do: do}
}

func later() {
	work := make(chan int)
	go write(work) // at: later-go
	time.AfterFunc(time.Second, func() { close(work) })
}

func queued(queue chan<- func()) {
	work := make(chan int)
	go write(work) // at: queued-go
	queue <- func() { close(work) }
}

func atOnce() {
	work := make(chan int)
	go write(work) // at: once-go
	give := func(n int) { work <- n }
	give(1)
	func() { work <- 2 }()
	slices.SortFunc([]int{1, 2}, func(a, b int) int { work <- 3; return a - b }) // at: once-sort
	time.Sleep(time.Second)                                                      // at: once-after
}
