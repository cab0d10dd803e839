package flight_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/tracedoc/tracedoc/flight"
)

// A service with two listeners: one for the world, and one for its operators.
func Example() {
	rec, err := flight.Start(flight.Options{
		Dir:         "/var/lib/shop/flights",
		SlowRequest: time.Second,
		Goroutines:  50_000,
		Signals:     []os.Signal{syscall.SIGQUIT},
	})
	if err != nil {
		log.Print(err) // rec is nil now, and does nothing
	}
	defer rec.Close()

	shop := http.NewServeMux()
	debug := http.NewServeMux()
	debug.Handle("/debug/tracedoc", rec.Handler())
	go http.ListenAndServe("localhost:6060", debug)
	log.Fatal(http.ListenAndServe(":8080", rec.Middleware(shop)))
}

// Other things than requests can be too slow.
func ExampleRecorder_Trigger() {
	rec, _ := flight.Start(flight.Options{Dir: os.TempDir()})
	defer rec.Close()

	begin := time.Now()
	// … nightly import
	if took := time.Since(begin); took > time.Minute {
		rec.Trigger(fmt.Sprintf("the import took %v", took))
	}
}

func ExampleRecorder_Snapshot() {
	rec, _ := flight.Start(flight.Options{Dir: os.TempDir()})
	defer rec.Close()

	snapshot, err := rec.Snapshot(context.Background(), "before the failover")
	if limited := (*flight.LimitedError)(nil); errors.As(err, &limited) {
		log.Printf("not now, but in %v", limited.Wait)
	} else if err == nil {
		log.Printf("tracedoc analyze %s", snapshot.Path)
	}
}

// Of deadlines a recorder knows those that it is told of.
func ExampleRecorder_Deadline() {
	rec, _ := flight.Start(flight.Options{Dir: os.TempDir(), Deadlines: 20})
	defer rec.Close()

	client := &http.Client{Transport: rec.Transport(nil), Timeout: time.Second} // of requests to others
	_ = client

	query := func() error { return context.DeadlineExceeded } // of a database, say
	if err := query(); err != nil {
		rec.Deadline(err)
	}
}
