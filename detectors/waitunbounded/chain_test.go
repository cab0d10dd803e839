package waitunbounded

import (
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

// belt hands on what comes in, by way of two goroutines.
type belt struct{ in, between, out chan int }

func (b *belt) first()  { b.between <- <-b.in }
func (b *belt) second() { b.out <- <-b.between }

// carry carries one thing, which comes after a while.
func carry(after time.Duration) {
	b := &belt{make(chan int), make(chan int), make(chan int)}
	go b.second()
	go b.first()
	time.AfterFunc(after, func() { b.in <- 1 })
	<-b.out
}

// TestChain: if what comes in is late, that is told where it comes in and not where
// it is handed on, be it there when the trace ends or not.
func TestChain(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	const late = 500 * time.Millisecond
	for _, tt := range []struct {
		name string
		end  func(carried <-chan bool)
	}{
		{"it comes", func(carried <-chan bool) { <-carried }},
		{"it does not", func(<-chan bool) { time.Sleep(late - 100*time.Millisecond) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "trace")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := trace.Start(f); err != nil {
				t.Fatal(err)
			}
			for range 2 * history {
				carry(time.Millisecond)
			}
			carried := make(chan bool)
			go func() { carry(late); carried <- true }()
			tt.end(carried)
			trace.Stop()
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			var where []string
			for _, f := range detectortest.Analyze(t, file, nil, Detector).Findings {
				where = append(where, f.Site.Func)
			}
			if want := []string{"github.com/tracedoc/tracedoc/detectors/waitunbounded.(*belt).first"}; !slices.Equal(where, want) {
				t.Errorf("told of %q, want %q", where, want)
			}
		})
	}
}
