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

// rare is like first, and seldom used: nobody knows how long it usually takes.
func (b *belt) rare() { b.between <- <-b.in }

// carry carries one thing, which comes after a while.
func carry(after time.Duration, first func(*belt)) {
	b := &belt{make(chan int), make(chan int), make(chan int)}
	go b.second()
	go first(b)
	time.AfterFunc(after, func() { b.in <- 1 })
	<-b.out
}

// pool is a belt whose goroutines are there all the time.
type pool struct {
	in   chan int
	jobs chan chan int
}

func (p *pool) work() {
	for answer := range p.jobs {
		answer <- p.fetch()
	}
}

func (p *pool) fetch() int { return <-p.in }

func (p *pool) ask(done chan<- int) {
	answer := make(chan int)
	p.jobs <- answer
	done <- <-answer
}

// carry is carry by way of a pool.
func (p *pool) carry(after time.Duration) {
	done := make(chan int)
	go p.ask(done)
	time.AfterFunc(after, func() { p.in <- 1 })
	<-done
}

// askFor is carry by way of a pool, asked by the caller itself.
func (p *pool) askFor(after time.Duration) {
	done := make(chan int, 1)
	time.AfterFunc(after, func() { p.in <- 1 })
	p.ask(done)
}

// TestChain: if what comes in is late, that is told where it comes in and not where
// it is handed on, be it there when the trace ends or not; but where it is handed on if
// nothing can be told of where it comes in.
func TestChain(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	const late = time.Second // even on a machine that is slow and busy far more than usual
	first := func(_ *pool, after time.Duration) { carry(after, (*belt).first) }
	rare := func(_ *pool, after time.Duration) { carry(after, (*belt).rare) }
	for _, tt := range []struct {
		name  string
		usual func(p *pool, after time.Duration)
		late  func(p *pool, after time.Duration)
		comes bool
		old   bool // the pool is there before the trace begins, and so is whoever asks it
		told  string
	}{
		{"it comes", first, first, true, false, "(*belt).first"},
		{"it does not", first, first, false, false, "(*belt).first"},
		{"it comes where nothing is known of", first, rare, true, false, "(*belt).second"},
		{"it comes to a pool", (*pool).carry, (*pool).carry, true, false, "(*pool).fetch"},
		{"it does not come to a pool", (*pool).carry, (*pool).carry, false, false, "(*pool).fetch"},
		{"it comes to a pool that was there before", (*pool).askFor, (*pool).askFor, true, true, "(*pool).fetch"},
		{"it does not come to a pool that was there before", (*pool).askFor, (*pool).askFor, false, true, "(*pool).fetch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "trace")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &pool{make(chan int), make(chan chan int)}
			hire := func() {
				for range 3 {
					go p.work()
				}
			}
			if tt.old {
				hire()
				time.Sleep(50 * time.Millisecond) // until they wait
			}
			if err := trace.Start(f); err != nil {
				t.Fatal(err)
			}
			if !tt.old {
				go hire() // not by who asks
			}
			for range 2 * history {
				tt.usual(p, time.Millisecond)
			}
			if tt.comes {
				tt.late(p, late)
			} else {
				go tt.late(p, late)
				time.Sleep(late - 100*time.Millisecond)
			}
			trace.Stop()
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			var where []string
			for _, f := range detectortest.Analyze(t, file, nil, Detector).Findings {
				where = append(where, f.Site.Func)
			}
			if want := []string{"github.com/tracedoc/tracedoc/detectors/waitunbounded." + tt.told}; !slices.Equal(where, want) {
				t.Errorf("told of %q, want %q", where, want)
			}
		})
	}
}
