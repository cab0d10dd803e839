package goroutineleak_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/goroutineleak"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, goroutineleak.Detector) }

// TestNeverRan: goroutines that stand in line for a processor are told, and are no
// leak. How many of them get one is up to the machine, so there are three tries.
func TestNeverRan(t *testing.T) {
	var sites []detectors.IdleSite
	for range 3 {
		sites = neverRan(t)
		for _, s := range sites {
			if strings.HasPrefix(s.Why, "created and never run") && s.Goroutines >= 5 && strings.HasSuffix(s.Site.Func, "neverRan") {
				return
			}
		}
	}
	t.Errorf("not told: %+v", sites)
}

func neverRan(t *testing.T) []detectors.IdleSite {
	name := filepath.Join(t.TempDir(), "trace")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	if err := trace.Start(f); err != nil {
		t.Skip(err) // a trace of the tests themselves is going on
	}
	var over atomic.Bool
	for range 120 { // of which each has a processor for 10 ms at a time
		go func() {
			for !over.Load() {
			}
		}()
	}
	time.Sleep(300 * time.Millisecond)
	trace.Stop()
	over.Store(true)
	f.Close()

	return detectortest.Analyze(t, name, nil, goroutineleak.Detector).Traces[0].Idle.Sites
}

// TestPoolOutlivesItsTest: workers that a test happens to start, and that later ones give work to
// as well, are there for all; those that nobody comes to any more are left behind.
func TestPoolOutlivesItsTest(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := trace.Start(f); err != nil {
		t.Skip(err) // a trace of the tests themselves is going on
	}
	var common, lost pool
	for test := range 4 {
		t.Run("", func(t *testing.T) {
			common.hire()
			if test == 0 {
				lost.hire()
			}
			for range 20 {
				common.do()
				if test == 0 {
					lost.do()
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	trace.Stop()
	f.Close()

	var told []string
	for _, f := range detectortest.Analyze(t, name, nil, goroutineleak.Detector).Findings {
		for _, g := range f.Groups {
			told = append(told, fmt.Sprintf("%d of %s", g.Count, g.Entry))
		}
	}
	if want := []string{"4 of " + reflect.TypeFor[pool]().PkgPath() + ".(*pool).serve"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// pool is workers that are there from the first call on.
type pool struct {
	once sync.Once
	work chan chan bool
}

func (p *pool) hire() {
	p.once.Do(func() {
		p.work = make(chan chan bool)
		for range 4 {
			go p.serve()
		}
	})
}

func (p *pool) serve() {
	for done := range p.work {
		done <- true
	}
}

func (p *pool) do() {
	done := make(chan bool)
	p.work <- done
	<-done
}

// TestCornered: goroutines that wait for each other's signal are stuck if nobody else has ever
// given one; those that somebody else comes to now and then may be idle.
func TestCornered(t *testing.T) {
	for _, tt := range []struct {
		name    string
		visited bool
		want    int
	}{{"nobody else signals", false, 1}, {"somebody else does", true, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			if trace.IsEnabled() {
				t.Skip("the test binary is being traced itself")
			}
			file := filepath.Join(t.TempDir(), "trace")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := trace.Start(f); err != nil {
				t.Fatal(err)
			}
			r := &ring{size: 6}
			r.turned.L = &r.mu
			var all sync.WaitGroup
			for i := range r.size {
				all.Go(func() { r.run(i) })
			}
			for range 40 {
				time.Sleep(5 * time.Millisecond)
				if tt.visited {
					r.turned.Broadcast()
				}
			}
			time.Sleep(400 * time.Millisecond)
			trace.Stop()
			f.Close()
			r.mu.Lock()
			r.over = true
			r.mu.Unlock()
			r.turned.Broadcast()
			all.Wait()
			found := detectortest.Analyze(t, file, nil, goroutineleak.Detector).Findings
			if len(found) != tt.want || tt.want > 0 && (found[0].Cause != "cond" || found[0].Impact.Goroutines != r.size) {
				t.Errorf("%d findings, want %d: %+v", len(found), tt.want, found)
			}
		})
	}
}

// ring is goroutines that go by turns, until one forgets to pass the turn on.
type ring struct {
	mu         sync.Mutex
	turned     sync.Cond
	size, turn int
	over       bool
}

func (r *ring) run(me int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		for r.turn%r.size != me || r.turn >= 20*r.size {
			if r.over {
				return
			}
			r.turned.Wait()
		}
		r.turn++
		r.turned.Broadcast()
	}
}
