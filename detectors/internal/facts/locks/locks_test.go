package locks_test

import (
	"bytes"
	"context"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/traceload"
)

// probe is a detector that hands the fact to a test.
func probe(check func(*traceload.Program, *locks.Table)) *detectors.Detector {
	return &detectors.Detector{
		Name: "probe", Family: detectors.Locks,
		Doc: "// Package probe finds nothing.\n//\n// # What it looks for\n//\n// x\n//\n// # How it decides\n//\n// x\n//\n" +
			"// # What it cannot see\n//\n// x\n//\n// # Repair\n//\n// x\npackage probe\n",
		Causes: []detectors.Cause{{Name: "none", Pattern: "shard-lock"}},
		New: func(p *detectors.Pass) detectors.Observer {
			return &observer{locks: detectors.Need(p, locks.Fact), check: check}
		},
	}
}

type observer struct {
	locks *locks.Table
	check func(*traceload.Program, *locks.Table)
}

func (o *observer) Observe(*traceload.Program, *traceload.Event) {}
func (o *observer) Finish(p *traceload.Program)                  { o.check(p, o.locks) }

// A scene is a small program whose trace is taken while it runs.
type scene struct {
	stop chan struct{}
	all  sync.WaitGroup
}

// loop calls f again and again until the scene is over, with pauses in between.
func (s *scene) loop(n int, pause time.Duration, f func()) {
	for range n {
		s.all.Add(1)
		go func() {
			defer s.all.Done()
			for i := time.Duration(0); ; i++ {
				if s.over() {
					return
				}
				f()
				time.Sleep(pause + i%5*pause/5) // not in step with the others
			}
		}()
	}
}

// after calls f again and again once the scene is over, so that all get away
// who still wait for what f does.
func (s *scene) after(f func()) {
	go func() {
		<-s.stop
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(nap) {
			go f()
		}
	}()
}

func (s *scene) over() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// play records a scene and hands what is known of its locks to check.
func play(t *testing.T, start func(*scene), check func(*traceload.Program, *locks.Table)) {
	t.Helper()
	if trace.IsEnabled() {
		t.Skip("the test itself is being traced")
	}
	s := &scene{stop: make(chan struct{})}
	var recorded bytes.Buffer
	if err := trace.Start(&recorded); err != nil {
		t.Fatal(err)
	}
	start(s)
	time.Sleep(200 * time.Millisecond)
	trace.Stop()
	close(s.stop)
	s.all.Wait()
	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: &recorded})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	res, err := detectors.Analyze(in, []*detectors.Detector{probe(check)}, detectors.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range res.Warnings() {
		if strings.Contains(w, "internal error") {
			t.Error(w)
		}
	}
}

// guarded is a number with a lock, and several ways to use both.
type guarded struct {
	mu sync.Mutex
	rw sync.RWMutex
	n  int
}

const nap = 2 * time.Millisecond

func work(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}

func (g *guarded) get() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

func (g *guarded) receivesLocked(c <-chan struct{}) {
	g.mu.Lock()
	<-c
	g.mu.Unlock()
}

func (g *guarded) sleepsLocked() {
	g.mu.Lock()
	g.n++
	time.Sleep(nap)
	g.mu.Unlock()
}

func (g *guarded) sleepsUnlocked() {
	for range 5 {
		g.mu.Lock()
		work(nap / 100)
		g.mu.Unlock()
		time.Sleep(nap)
	}
}

func (g *guarded) relocks() {
	g.mu.Lock()
	for range 5 {
		work(nap / 100)
		g.mu.Unlock()
		time.Sleep(nap)
		g.mu.Lock()
	}
	g.mu.Unlock()
}

// retries returns, and unlocks, at a line before the one where it sleeps.
func (g *guarded) retries() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for try := 0; ; try++ {
		if try == 2 {
			return true
		}
		time.Sleep(nap)
	}
}

func (g *guarded) lock()   { g.mu.Lock() }
func (g *guarded) unlock() { g.mu.Unlock() }

func (g *guarded) sleepsWrapped() {
	g.lock()
	time.Sleep(nap)
	g.unlock()
}

func (g *guarded) getWrapped() int {
	g.lock()
	n := g.n
	g.unlock()
	return n
}

func (g *guarded) with(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *guarded) readsLong() {
	g.rw.RLock()
	defer g.rw.RUnlock()
	time.Sleep(nap)
}

func (g *guarded) readsBusily() {
	g.rw.RLock()
	defer g.rw.RUnlock()
	work(nap)
}

func (g *guarded) read() int {
	g.rw.RLock()
	defer g.rw.RUnlock()
	return g.n
}

func (g *guarded) write() {
	g.rw.Lock()
	g.n++
	g.rw.Unlock()
}

func TestHoldups(t *testing.T) {
	cases := []struct {
		name  string
		start func(*scene)
		cause locks.Cause // CauseNone: no holdup at all
		fn    string      // the end of the name of the function that holds the lock
	}{
		{"sleeps with the lock", func(s *scene) {
			g := new(guarded)
			s.loop(1, nap, g.sleepsLocked)
			s.loop(4, nap/4, func() { g.get() })
		}, locks.CauseSleep, "(*guarded).sleepsLocked"},
		{"sleeps after it", func(s *scene) {
			g := new(guarded)
			s.loop(8, nap, g.sleepsUnlocked)
		}, locks.CauseNone, ""},
		{"gives it up to sleep", func(s *scene) {
			g := new(guarded)
			s.loop(8, nap, g.relocks)
		}, locks.CauseNone, ""},
		{"deferred unlock, return before the sleep", func(s *scene) {
			g := new(guarded)
			s.loop(1, nap, func() { g.retries() })
			s.loop(4, nap/4, func() { g.get() })
		}, locks.CauseSleep, "(*guarded).retries"},
		{"locked by a wrapper", func(s *scene) {
			g := new(guarded)
			s.loop(1, nap, g.sleepsWrapped)
			s.loop(4, nap/4, func() { g.getWrapped() })
		}, locks.CauseSleep, "(*guarded).sleepsWrapped"},
		{"sends in a callback", func(s *scene) {
			g, c := new(guarded), make(chan int)
			s.loop(1, nap, func() { g.with(func() { c <- 1 }) })
			s.loop(1, 3*nap, func() { <-c })
			s.after(func() { <-c })
			s.loop(4, nap/4, func() { g.with(func() {}) })
		}, locks.CauseChannel, "(*guarded).with"},
		{"takes another lock", func(s *scene) {
			outer, inner := new(guarded), new(guarded)
			s.loop(1, nap, func() { outer.with(inner.write) })
			s.loop(1, nap, inner.readsBusily)
			s.loop(4, nap/4, func() { outer.with(func() {}) })
		}, locks.CauseLock, "(*guarded).with"},
		{"reads long", func(s *scene) {
			g := new(guarded)
			s.loop(1, nap/2, g.readsLong)
			s.loop(1, nap/2, g.write)
			s.loop(4, nap/4, func() { g.read() })
		}, locks.CauseSleep, "(*guarded).readsLong"},
		{"waits for a Cond with its lock", func(s *scene) {
			var mu sync.Mutex
			c, jobs := sync.NewCond(&mu), 0
			s.loop(6, nap, func() {
				mu.Lock()
				for jobs == 0 && !s.over() {
					c.Wait()
				}
				jobs--
				mu.Unlock()
			})
			s.loop(2, nap/4, func() {
				mu.Lock()
				jobs++
				work(nap / 100)
				mu.Unlock()
				c.Broadcast()
			})
			s.after(c.Broadcast)
		}, locks.CauseNone, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			play(t, c.start, func(p *traceload.Program, table *locks.Table) {
				found := false
				for _, class := range table.Classes {
					for _, h := range class.Holdups {
						fn := ""
						for _, f := range p.Frames(h.Block) {
							if f.FuncID == h.Func {
								fn = f.Func
							}
						}
						if h.Cause == c.cause && strings.HasSuffix(fn, c.fn) {
							found = true
						} else {
							t.Errorf("unexpected: %s in %s, proof %d, %.0f%% of the time, lost %v", h.Cause, fn, h.Proof, 100*h.Share, h.Lost)
						}
					}
				}
				if want := c.cause != locks.CauseNone; found != want && want {
					t.Errorf("not found: %s in %s", c.cause, c.fn)
				}
			})
		})
	}
}

// TestEarlierOwnersBearTheirPart: with many sleepers in a row each waiter's
// time passes under several holders, and all of it must be explained.
func TestEarlierOwnersBearTheirPart(t *testing.T) {
	play(t, func(s *scene) {
		g := new(guarded)
		s.loop(6, 0, g.sleepsLocked)
	}, func(_ *traceload.Program, table *locks.Table) {
		if len(table.Classes) != 1 {
			t.Fatalf("%d classes, want one", len(table.Classes))
		}
		c := table.Classes[0]
		if c.Waited() == 0 || float64(c.Lines[0].Blocked) < 0.8*float64(c.Waited()) {
			t.Errorf("explained %v of %v", c.Lines[0].Blocked, c.Waited())
		}
		if n := c.Waiters(traceload.WaitMutex); n != 6 {
			t.Errorf("%d waiters, want 6", n)
		}
		if c.Instances != 1 {
			t.Errorf("%.1f locks, want 1", c.Instances)
		}
	})
}

// TestRWMutexIsOneClass: readers and writers wake each other crosswise.
func TestRWMutexIsOneClass(t *testing.T) {
	play(t, func(s *scene) {
		g := new(guarded)
		s.loop(3, nap/2, g.readsLong)
		s.loop(1, nap/2, g.write)
		s.loop(4, nap/4, func() { g.read() })
	}, func(_ *traceload.Program, table *locks.Table) {
		if len(table.Classes) != 1 {
			t.Fatalf("%d classes, want one", len(table.Classes))
		}
		kinds := map[traceload.Wait]bool{}
		for _, l := range table.Classes[0].Lines {
			kinds[l.Wait] = true
		}
		if !kinds[traceload.WaitRWMutexR] || !kinds[traceload.WaitRWMutexW] {
			t.Errorf("waits for %v", kinds)
		}
	})
}

func TestManyLocksOfOneKind(t *testing.T) {
	play(t, func(s *scene) {
		for i := range 12 {
			g := new(guarded)
			s.loop(3, nap/2, func() { g.with(func() { time.Sleep(nap + time.Duration(i)*nap/7) }) })
		}
	}, func(_ *traceload.Program, table *locks.Table) {
		if len(table.Classes) != 1 {
			t.Fatalf("%d classes, want one", len(table.Classes))
		}
		if n := table.Classes[0].Instances; n < 2 {
			t.Errorf("%.1f locks, want many", n)
		}
	})
}

func TestOnceIsTold(t *testing.T) {
	play(t, func(s *scene) {
		var once sync.Once
		s.loop(4, nap, func() { once.Do(func() { time.Sleep(nap) }) })
	}, func(_ *traceload.Program, table *locks.Table) {
		if len(table.Classes) != 1 || !table.Classes[0].Once {
			t.Errorf("%d classes, want one, of a Once", len(table.Classes))
		}
	})
}

// TestHeldAtTheEnd: a goroutine that waited for the lock, got it, and is
// blocked with it when the trace ends.
func TestHeldAtTheEnd(t *testing.T) {
	play(t, func(s *scene) {
		// Four goroutines queue for the lock, in two rounds. In the first the
		// second of them is done at once, in the other the first never is.
		g, free := new(guarded), make(chan struct{})
		close(free)
		for round, c := range []chan struct{}{free, s.stop} {
			var done sync.WaitGroup
			g.mu.Lock()
			for i := range 4 {
				s.all.Add(1)
				done.Add(1)
				go func() {
					defer s.all.Done()
					if i == 1-round {
						g.receivesLocked(c)
					} else {
						g.get()
					}
					done.Done()
				}()
				time.Sleep(nap)
			}
			g.mu.Unlock()
			if round == 0 {
				done.Wait()
			}
		}
	}, func(p *traceload.Program, table *locks.Table) {
		if len(table.Classes) == 0 {
			t.Fatal("no class")
		}
		c := table.Classes[0]
		if c.Holder == nil {
			t.Fatal("the holder is not known")
		}
		if f := p.Site(c.Holder.Stack); !strings.Contains(f.Func, "receivesLocked") {
			t.Errorf("the holder stands in %s", f.Func)
		}
		if len(c.Waiting) != 3 {
			t.Errorf("%d wait, want 3", len(c.Waiting))
		}
		i := slices.IndexFunc(c.Holdups, func(h *locks.Holdup) bool { return h.Exit == 0 })
		if i < 0 {
			t.Fatal("that it is blocked explains nothing")
		}
		h := c.Holdups[i]
		if h.Cause != locks.CauseChannel || h.Victims != 3 {
			t.Errorf("cause %s, %d victims, want channel, 3", h.Cause, h.Victims)
		}
		if h.Sample.Holder != c.Holder.ID || h.Sample.Lost < 100*time.Millisecond {
			t.Errorf("sample %+v", h.Sample)
		}
	})
}
