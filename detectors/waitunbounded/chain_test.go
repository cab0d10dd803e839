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

// TestChain: if what comes in is late, that is told where it comes in and not where
// it is handed on, be it there when the trace ends or not; but where it is handed on if
// nothing can be told of where it comes in.
func TestChain(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	const late = 500 * time.Millisecond
	for _, tt := range []struct {
		name  string
		first func(*belt)
		comes bool
		told  string
	}{
		{"it comes", (*belt).first, true, "(*belt).first"},
		{"it does not", (*belt).first, false, "(*belt).first"},
		{"it comes where nothing is known of", (*belt).rare, true, "(*belt).second"},
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
				carry(time.Millisecond, (*belt).first)
			}
			carried := make(chan bool, 1)
			go func() { carry(late, tt.first); carried <- true }()
			if tt.comes {
				<-carried
			} else {
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
