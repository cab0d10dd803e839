// Package uses is source for the tests: "at:" names the frame at its line.
package uses

import (
	"context"
	"os"
	"os/signal"
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
