package tracetest_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/tracetest"
)

// The tests of this file are run by others, in a process of their own: half of
// them fail, as they should.
const caseVariable = "TRACETEST_CASE"

// only lets a case run if it was asked for.
func only(t *testing.T, name string) {
	t.Helper()
	if os.Getenv(caseVariable) != name {
		t.Skip("a case that TestCases runs")
	}
}

var errTooLate = errors.New("too late")

// ask gives up before the answer comes; who answers then waits for ever, unless
// there is room for the answer.
func ask(room int) error {
	answer := make(chan int, room)
	go func() {
		time.Sleep(20 * time.Millisecond)
		answer <- 42 // LEAK: nobody receives any more
	}()
	select {
	case <-answer:
		return nil
	case <-time.After(5 * time.Millisecond):
		return errTooLate
	}
}

func TestCaseLeak(t *testing.T) {
	only(t, "leak")
	tracetest.Check(t)
	if err := ask(0); err == nil {
		t.Error("the answer came in time")
	}
}

func TestCaseMended(t *testing.T) {
	only(t, "mended")
	tracetest.Check(t)
	if err := ask(1); err == nil {
		t.Error("the answer came in time")
	}
}

func TestCaseIgnored(t *testing.T) {
	only(t, "ignored")
	tracetest.Check(t, tracetest.Ignore("goroutine-leak", "*tracetest_test.ask*", "the late answer is known"))
	_ = ask(0)
}

// The third of five tests that run side by side, with the same code, leaks.
func TestCaseParallel(t *testing.T) {
	only(t, "parallel")
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracetest.Check(t)
			room := 1
			if i == 2 {
				room = 0
			}
			for range 3 {
				_ = ask(room)
			}
		})
	}
}

func TestCaseSubtest(t *testing.T) {
	only(t, "subtest")
	tracetest.Check(t)
	t.Run("inner", func(t *testing.T) { _ = ask(0) })
}

// What another test left behind is not this test's.
func TestCaseOthers(t *testing.T) {
	only(t, "others")
	t.Run("leaks", func(t *testing.T) { _ = ask(0) })
	t.Run("clean", func(t *testing.T) {
		tracetest.Check(t)
		time.Sleep(50 * time.Millisecond)
		if err := ask(1); err == nil {
			t.Error("the answer came in time")
		}
	})
}

// Goroutines may take a moment to end.
func TestCaseSlowEnd(t *testing.T) {
	only(t, "slow-end")
	tracetest.Check(t)
	ctx, cancel := context.WithCancel(context.Background())
	for range 3 {
		go func() {
			<-ctx.Done()
			time.Sleep(200 * time.Millisecond) // hands back what it holds
		}()
	}
	time.Sleep(10 * time.Millisecond)
	cancel()
}

// A server that is closed, and a client's idle connections that are not.
func TestCaseHTTP(t *testing.T) {
	only(t, "http")
	tracetest.Check(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("hello"))
	}))
	client := &http.Client{Transport: &http.Transport{}}
	for range 20 {
		res, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(l, nil) }()
	_ = l.Close()
}

type account struct {
	mu      sync.Mutex
	balance int
}

// transfer takes two locks in the order in which it is given them.
func transfer(from, to *account, ready *sync.WaitGroup) {
	from.mu.Lock()
	defer from.mu.Unlock()
	ready.Done()
	ready.Wait() // both have their first
	to.mu.Lock() // DEADLOCK
	defer to.mu.Unlock()
	from.balance--
	to.balance++
}

func TestCaseHang(t *testing.T) {
	only(t, "hang")
	tracetest.Check(t)
	var a, b account
	var ready, done sync.WaitGroup
	ready.Add(2)
	done.Go(func() { transfer(&a, &b, &ready) })
	done.Go(func() { transfer(&b, &a, &ready) })
	done.Wait()
}

func TestCaseSkipped(t *testing.T) {
	only(t, "skipped")
	tracetest.Check(t)
	_ = ask(0)
	t.Skip("not today")
}

func TestCaseWrongOption(t *testing.T) {
	only(t, "wrong-option")
	tracetest.Check(t, tracetest.Only("goroutine-leek"))
}

// Twice in one test is once.
func TestCaseTwice(t *testing.T) {
	only(t, "twice")
	tracetest.Check(t)
	tracetest.Check(t)
	_ = ask(0)
}

func BenchmarkCase(b *testing.B) {
	if os.Getenv(caseVariable) != "benchmark" {
		b.Skip("a case that TestCases runs")
	}
	tracetest.Check(b)
	for b.Loop() {
		_ = ask(1)
	}
}
