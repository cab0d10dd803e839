// Command example is a small service that keeps its last seconds: a shop that asks
// three suppliers for a price, and whose price list is locked too long now and then.
//
//	go run ./flight/example -dir /tmp/flights
//	curl http://localhost:8080/order?item=tea
//	curl http://localhost:8080/debug/tracedoc
//
// With -flight=false it does the same without package flight; flight/bench compares
// the two.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/tracedoc/tracedoc/flight"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	dir := flag.String("dir", "", "`folder` for snapshots")
	on := flag.Bool("flight", true, "keep the last seconds")
	slow := flag.Duration("slow", 250*time.Millisecond, "how `long` a request may take")
	interval := flag.Duration("interval", 0, "least `time` between two snapshots for one cause (default that of package flight)")
	flag.Parse()
	opt := flight.Options{Dir: *dir, Name: "shop", SlowRequest: *slow, Interval: *interval, Goroutines: 10_000, Deadlines: 50}
	if err := run(ctx, *addr, *on, opt); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, on bool, opt flight.Options) error {
	var rec *flight.Recorder // nil does nothing
	if on {
		var err error
		if rec, err = flight.Start(opt); err != nil {
			log.Print(err) // the shop stays open
		}
		defer func() { _ = rec.Close() }() // the process ends
	}
	s := &shop{rec: rec, prices: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /order", s.order)
	mux.Handle("/debug/tracedoc", rec.Handler()) // a real service has a listener of its own for these
	server := &http.Server{Handler: rec.Middleware(mux)}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type shop struct {
	rec    *flight.Recorder
	mu     sync.Mutex
	prices map[string]int
	orders int
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	item := r.FormValue("item")
	price, err := ask(ctx, item)
	if err != nil {
		s.rec.Deadline(err)
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
		return
	}
	n := s.note(item, price)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"order": n, "item": item, "price": price}) // who has gone needs no answer
}

// ask returns the best of three offers.
func ask(ctx context.Context, item string) (int, error) {
	offers := make(chan int, 3)
	for range cap(offers) {
		go func() {
			time.Sleep(time.Millisecond + rand.N(time.Millisecond)) // over there
			offers <- 100 + len(item)%7
		}()
	}
	best := 0
	for range cap(offers) {
		select {
		case p := <-offers:
			if best == 0 || p < best {
				best = p
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return best, nil
}

// note writes an order down. Every now and then it saves all of them, and holds
// the lock meanwhile.
func (s *shop) note(item string, price int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prices[item] = price
	s.orders++
	if s.orders%5000 == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	return s.orders
}
