package traceload

import (
	"bytes"
	"iter"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCollectorWaits checks that waiting for the collector's own semaphores, which
// is of reason "sync" and stands under the user's frames, is no wait for a lock.
func TestCollectorWaits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // one alone never finds a semaphore taken
	// A few collections are enough, and nothing is kept of what happens: whoever waits for the
	// sweeping yields again and again, which is millions of events on a machine that is busy.
	data := traced(t, func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 3 {
					runtime.GC()
				}
			})
		}
		wg.Wait()
	})
	inside, sync := 0, 0
	_, _, err := Walk(input(t, data), func(p *Program, ev *Event) {
		if ev.Kind != KindBlock || !slices.ContainsFunc(p.Frames(ev.Stack), func(f Frame) bool { return f.Func == "runtime.GC" }) {
			return
		}
		inside++
		if ev.Wait != WaitRuntime {
			t.Errorf("%v (%s) inside runtime.GC, want the runtime:\n%v", ev.Wait, p.String(ev.Reason), p.Frames(ev.Stack))
		}
		if p.String(ev.Reason) == "sync" {
			sync++
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if inside == 0 || sync == 0 {
		t.Errorf("%d waits inside runtime.GC, %d of reason sync: nothing was tested", inside, sync)
	}
}

// TestCoroutines checks the hand-over between the two sides of iter.Pull, which
// leaves neither reason nor stack.
func TestCoroutines(t *testing.T) {
	const rounds = 100
	data := traced(t, func() {
		next, stop := iter.Pull(func(yield func(int) bool) {
			for i := range rounds {
				if !yield(i) {
					return
				}
			}
		})
		defer stop()
		for _, ok := next(); ok; _, ok = next() {
		}
	})
	list, _, _ := sights(t, data)
	born := find(t, list, "coroutine", func(s sight) bool { return s.Kind == KindCreate && s.entry == "runtime.corostart" })
	if born.To != StateWaiting || born.g.System {
		t.Errorf("born %v, the runtime's: %v; want waiting, not the runtime's", born.To, born.g.System)
	}
	var resumed, yielded, ended int
	for _, s := range list {
		switch {
		case s.Kind == KindUnblock && s.g.ID == born.g.ID && s.Waker == WakerGoroutine && s.by.ID == born.g.Creator:
			resumed++
		case s.Kind == KindUnblock && s.by.ID == born.g.ID && s.Waker == WakerGoroutine:
			yielded++
		case s.Kind == KindEnd && s.g.ID == born.g.ID:
			ended++
		}
	}
	if resumed < rounds || yielded < rounds || ended != 1 {
		t.Errorf("resumed %d times, yielded %d times, ended %d times; want %d, %d, 1", resumed, yielded, ended, rounds, rounds)
	}
}

// TestSamplesAndRanges checks what is no state of a goroutine.
func TestSamplesAndRanges(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // only the collection below: another might not be over when the trace ends
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Skip(err)
	}
	data := traced(t, func() {
		for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; {
			_ = spin()
		}
		runtime.GC()
	})
	pprof.StopCPUProfile()
	list, p, _ := sights(t, data)
	samples := 0
	open := map[string]int{}
	for _, s := range list {
		switch s.Kind {
		case KindSample:
			if strings.Contains(s.site, "traceload.spin") && s.g.ID != 0 && s.g.State == StateRunning {
				samples++
			}
		case KindRangeBegin:
			open[p.String(s.Text)]++
		case KindRangeEnd:
			open[p.String(s.Text)]--
		}
		if text := p.String(s.Text); s.Kind == KindRangeBegin {
			switch {
			case strings.HasPrefix(text, "stop-the-world") && s.g.ID == 0:
				t.Errorf("%s stopped by nobody", text)
			case strings.HasPrefix(text, "GC concurrent") && s.g.ID != 0:
				t.Errorf("%s is goroutine %d's, want the program's", text, s.g.ID)
			}
		}
	}
	if samples == 0 {
		t.Error("no CPU sample of a running goroutine in spin")
	}
	for _, name := range []string{"GC concurrent mark phase", "stop-the-world (GC mark termination)"} {
		if n, ok := open[name]; !ok || n != 0 {
			t.Errorf("range %q: there %v, %d more begins than ends", name, ok, n)
		}
	}
}

//go:noinline
func spin() (n int) {
	for i := range 1_000_000 {
		n += i * i
	}
	return n
}

// TestFlightRecorder checks a snapshot, in which nearly all that is seen began
// before it did.
func TestFlightRecorder(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("run it without -trace")
	}
	parked := make(chan int)
	defer close(parked)
	for range 10 {
		go awaitWork(parked)
	}
	for runtime.Gosched(); parkedIn("awaitWork") < 10; {
		time.Sleep(time.Millisecond)
	}
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 10 * time.Millisecond})
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	defer recorder.Stop()
	time.Sleep(50 * time.Millisecond)
	var snapshot bytes.Buffer
	if _, err := recorder.WriteTo(&snapshot); err != nil {
		t.Fatal(err)
	}
	list, p, info := sights(t, snapshot.Bytes())
	if !info.Complete {
		t.Errorf("%+v", info)
	}
	found := 0
	for _, s := range list {
		if strings.HasSuffix(s.entry, "traceload.awaitWork") {
			found++
			if s.Kind != KindStatus || s.Wait != WaitChanReceive || p.String(s.Reason) != "chan receive" || s.g.SinceKnown || s.g.BornKnown || s.g.Ran {
				t.Errorf("%+v", s)
			}
		}
	}
	if found != 10 {
		t.Errorf("found %d parked goroutines, want 10", found)
	}
}

func awaitWork(work <-chan int) {
	for range work {
	}
}

// parkedIn counts the goroutines that fn started and that wait for a channel.
func parkedIn(fn string) (n int) {
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, fn) && strings.Contains(g, "[chan receive]") {
			n++
		}
	}
	return n
}

// TestSlotsAreReused checks that a trace of many goroutines, few of them alive at
// a time, needs few slots and no record of the dead.
func TestSlotsAreReused(t *testing.T) {
	data := traced(t, func() {
		for range 2000 {
			done := make(chan int)
			go close(done)
			<-done
		}
	})
	p, info, err := walkBytes(t, data)
	if err != nil {
		t.Fatal(err)
	}
	if info.Goroutines < 2000 || p.Slots() > 200 {
		t.Errorf("%d slots for %d goroutines", p.Slots(), info.Goroutines)
	}
}

// TestObserverPanics checks that a panic of an observer reaches the caller,
// whichever lane it stands in, and that nothing is left running.
func TestObserverPanics(t *testing.T) {
	data := recordings(t)[6].data
	quiet := func(*Program, *Event) {}
	before := runtime.NumGoroutine()
	for lane := range 3 {
		observers := []Lane{{Observe: each(quiet)}, {Observe: each(quiet)}, {Observe: each(quiet)}}
		n := 0
		observers[lane].Observe = each(func(*Program, *Event) {
			if n++; n == 100 {
				panic("observer")
			}
		})
		func() {
			defer func() {
				if p := recover(); p != "observer" {
					t.Errorf("lane %d: recovered %v", lane, p)
				}
			}()
			_, _, err := WalkLanes(input(t, data), observers, nil, Limits{})
			t.Errorf("WalkLanes returned %v", err)
		}()
	}
	for wait := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(wait) > 5*time.Second {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestLanes checks that every lane sees what one observer alone sees, or what it wants of
// that, with both decoders, and ends with a program of its own that says the same.
func TestLanes(t *testing.T) {
	for _, rec := range recordings(t) {
		for _, reference := range []bool{false, true} {
			var want []sight
			wantProgram, wantInfo, err := WalkWith(input(t, rec.data), func(p *Program, ev *Event) { want = append(want, look(p, ev)) }, nil, Limits{reference: reference})
			if err != nil {
				t.Fatal(err)
			}
			skips := []bool{false, true, false}
			got := make([][]sight, len(skips))
			var observers []Lane
			for i, skip := range skips {
				observe := each(func(p *Program, ev *Event) { got[i] = append(got[i], look(p, ev)) })
				observers = append(observers, Lane{Observe: func(p *Program, events *Events) {
					events.SkipStarts(skip)
					observe(p, events)
				}})
			}
			programs, info, err := WalkLanes(input(t, rec.data), observers, nil, Limits{reference: reference})
			if err != nil {
				t.Fatal(err)
			}
			if info != wantInfo {
				t.Errorf("%s: %+v, alone %+v", rec.name, info, wantInfo)
			}
			for i, skip := range skips {
				wanted := slices.DeleteFunc(slices.Clone(want), func(s sight) bool { return skip && s.Kind == KindStart })
				if !slices.Equal(got[i], wanted) || skip == (len(wanted) == len(want)) {
					t.Errorf("%s: lane %d, reference %v, saw other events than one alone", rec.name, i, reference)
				}
				if p := programs[i]; p.Now != wantProgram.Now || p.Slots() != wantProgram.Slots() || i > 0 && p == programs[0] {
					t.Errorf("%s: lane %d ends with the wrong program", rec.name, i)
				}
			}
		}
	}
}

// TestWarm checks that reading goroutines ahead changes nothing.
func TestWarm(t *testing.T) {
	for _, rec := range recordings(t) {
		for _, reference := range []bool{false, true} {
			var got [2][]sight
			for i, cold := range []bool{false, true} {
				var kept Beside[[9]int64]
				layout := new(Layout)
				layout.Add(&kept)
				observe := each(func(p *Program, ev *Event) { got[i] = append(got[i], look(p, ev)) })
				programs, _, err := WalkLanes(input(t, rec.data), []Lane{{observe, layout}}, nil, Limits{reference: reference, cold: cold})
				if err != nil {
					t.Fatal(err)
				}
				if p := programs[0]; cold != (p.inCache == 0) {
					t.Fatalf("%s: caches hold %d bytes", rec.name, p.inCache)
				}
			}
			if !slices.Equal(got[0], got[1]) {
				t.Errorf("%s: reference %v: other events where goroutines are read ahead", rec.name, reference)
			}
		}
	}
}
