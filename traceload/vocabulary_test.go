package traceload

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWaits checks how each kind of wait in testdata/waits is told, by the traces
// of all toolchains: what kind it is, why, at which line, and who ended it, where;
// and that the twin which parked before the trace began is found, as far as the
// format goes.
func TestWaits(t *testing.T) {
	waits := []struct {
		name   string
		wait   Wait
		reason string
		waker  Waker // WakerNone if nobody ends it
	}{
		{"send", WaitChanSend, "chan send", WakerGoroutine},
		{"receive", WaitChanReceive, "chan receive", WakerGoroutine},
		{"range", WaitChanReceive, "chan receive", WakerGoroutine},
		{"close", WaitChanReceive, "chan receive", WakerGoroutine},
		{"select", WaitSelect, "select", WakerGoroutine},
		{"nil-send", WaitNilChan, "forever", WakerNone},
		{"nil-receive", WaitNilChan, "forever", WakerNone},
		{"empty-select", WaitEmptySelect, "forever", WakerNone},
		{"mutex", WaitMutex, "sync", WakerGoroutine},
		{"writer-behind-reader", WaitRWMutexW, "sync", WakerGoroutine},
		{"writer-behind-writer", WaitMutex, "sync", WakerGoroutine},
		{"reader-behind-writer", WaitRWMutexR, "sync", WakerGoroutine},
		{"once", WaitMutex, "sync", WakerGoroutine},
		{"wait-group", WaitWaitGroup, "sync", WakerGoroutine},
		{"cond", WaitCond, "sync.(*Cond).Wait", WakerGoroutine},
		{"sleep", WaitSleep, "sleep", WakerTimer},
		{"timer", WaitSelect, "select", WakerTimer},
		{"ticker", WaitChanReceive, "chan receive", WakerTimer},
		{"cancel", WaitChanReceive, "chan receive", WakerGoroutine},
		{"deadline", WaitChanReceive, "chan receive", WakerDeadline},
		{"network", WaitNetwork, "network", WakerNetwork},
		{"accept", WaitNetwork, "network", WakerNetwork},
		{"descriptor", WaitSemaphore, "sync", WakerGoroutine},
	}
	lines := marks(t, filepath.Join("testdata", "waits", "main.go"))
	for _, rec := range recordings(t) {
		list, p, _ := sights(t, rec.data)
		for _, w := range waits {
			t.Run(rec.name+"/"+w.name, func(t *testing.T) {
				block, wake := lines["block "+w.name], lines["wake "+w.name]
				late := find(t, list, "late park", func(s sight) bool { return s.Kind == KindBlock && line(s.site) == block })
				if late.Wait != w.wait || p.String(late.Reason) != w.reason || late.To != StateWaiting || late.From != StateRunning {
					t.Errorf("late: %v → %v, %v (%q); want %v (%q)", late.From, late.To, late.Wait, p.String(late.Reason), w.wait, w.reason)
				}
				if !late.g.BornKnown || late.g.Creator == NoGoroutine || late.g.CreatedAt == 0 || !strings.HasPrefix(late.entry, "main.") {
					t.Errorf("late: birth of %s is not told: %+v", late.entry, late.g)
				}
				checkWake(t, list, late.g.ID, late, w.waker, wake)

				if rec.version < 23 { // parked goroutines have no stacks there
					return
				}
				early := find(t, list, "early park", func(s sight) bool { return s.Kind == KindStatus && line(s.site) == block })
				wait, reason := w.wait, w.reason
				if wait == WaitNilChan { // only a block event says that it is nil
					wait, reason = late.nilTwin(p)
				}
				if early.Wait != wait || p.String(early.Reason) != reason || early.To != StateWaiting || early.From != StateUnknown {
					t.Errorf("early: %v → %v, %v (%q); want %v (%q)", early.From, early.To, early.Wait, p.String(early.Reason), wait, reason)
				}
				if early.g.Since != 0 || early.g.SinceKnown || early.FromKnown || early.Lived != time.Duration(early.Time) {
					t.Errorf("early: waits since %d (known: %v) for %v (known: %v), found at %d; want the trace's start, not known",
						early.g.Since, early.g.SinceKnown, early.Lived, early.FromKnown, early.Time)
				}
				if early.g.BornKnown || early.g.Creator != NoGoroutine || early.entry != late.entry {
					t.Errorf("early: born %v by %d as %s; want unknown, as %s", early.g.BornKnown, early.g.Creator, early.entry, late.entry)
				}
				if early.Stack != late.Stack {
					t.Errorf("early and late park at one place, and have the stacks %d and %d:\n%v\n%v",
						early.Stack, late.Stack, p.Frames(early.Stack), p.Frames(late.Stack))
				}
				checkWake(t, list, early.g.ID, early, w.waker, wake)
			})
		}
	}
}

// nilTwin is what a wait for a nil channel looks like when it was not seen to begin.
func (s sight) nilTwin(p *Program) (Wait, string) {
	if p.Frames(s.Stack)[0].Func == "runtime.chansend1" {
		return WaitChanSend, "chan send"
	}
	return WaitChanReceive, "chan receive"
}

// checkWake checks how the wait that began (or was found) with parked ended.
func checkWake(t *testing.T, list []sight, id GoID, parked sight, waker Waker, wakeLine string) {
	t.Helper()
	i := slices.IndexFunc(list, func(s sight) bool { return s.Kind == KindUnblock && s.g.ID == id && s.Time > parked.Time })
	if i < 0 {
		if waker != WakerNone {
			t.Errorf("the wait of goroutine %d does not end", id)
		}
		return
	}
	s := list[i]
	if s.Waker != waker {
		t.Errorf("goroutine %d was woken by kind %d, want %d (stack %s)", id, s.Waker, waker, s.at)
	}
	if s.Wait != parked.Wait || s.Reason != parked.Reason || s.Stack != parked.Stack {
		t.Errorf("the wait that ends is %v at %s; what began was %v at %s", s.Wait, s.site, parked.Wait, parked.site)
	}
	since := parked.Time
	if !parked.FromKnown {
		since = 0
	}
	if s.From != StateWaiting || s.To != StateRunnable || s.Lived != s.Time.Sub(since) || s.FromKnown != parked.FromKnown {
		t.Errorf("%v → %v after %v (known: %v), want waiting → runnable after %v (%v)",
			s.From, s.To, s.Lived, s.FromKnown, s.Time.Sub(since), parked.FromKnown)
	}
	switch waker {
	case WakerGoroutine:
		if s.by.ID == 0 || s.by.ID == id || line(s.at) != wakeLine {
			t.Errorf("woken by goroutine %d at %s, want line %s", s.by.ID, s.at, wakeLine)
		}
	case WakerDeadline:
		if s.by.ID == 0 || s.by.Creator != NoGoroutine {
			t.Errorf("woken by goroutine %d, created by %d; want one that the runtime started", s.by.ID, s.by.Creator)
		}
	default:
		if s.by.ID != 0 || s.ByStack != 0 {
			t.Errorf("woken by goroutine %d at %s, want none", s.by.ID, s.at)
		}
	}
}

// find returns the first sight that ok accepts.
func find(t *testing.T, list []sight, what string, ok func(sight) bool) sight {
	t.Helper()
	i := slices.IndexFunc(list, ok)
	if i < 0 {
		t.Fatalf("%s: not in the trace", what)
	}
	return list[i]
}

// TestSystemCalls checks the begin and end of a blocking system call, the one
// that was entered before the trace began too.
func TestSystemCalls(t *testing.T) {
	block := marks(t, filepath.Join("testdata", "waits", "main.go"))["block syscall"]
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			list, p, _ := sights(t, rec.data)
			late := find(t, list, "begin", func(s sight) bool { return s.Kind == KindSyscallBegin && line(s.site) == block })
			end := find(t, list, "end", func(s sight) bool {
				return s.Kind == KindSyscallEnd && s.g.ID == late.g.ID && s.Time > late.Time
			})
			if end.Lived < 400*time.Millisecond || !end.FromKnown || end.From != StateSyscall || end.Stack != late.Stack {
				t.Errorf("ends after %v (known: %v) at %s, want half a second at %s", end.Lived, end.FromKnown, end.site, late.site)
			}
			if rec.version < 23 {
				return
			}
			early := find(t, list, "early", func(s sight) bool { return s.Kind == KindStatus && line(s.site) == block })
			if early.To != StateSyscall || early.g.SinceKnown || early.Stack != late.Stack {
				t.Errorf("early: %v since %d (known: %v), stacks\n%v\n%v", early.To, early.g.Since, early.g.SinceKnown, p.Frames(early.Stack), p.Frames(late.Stack))
			}
		})
	}
}

// TestParkedBefore checks the goroutines that a trace without their stacks shows.
func TestParkedBefore(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			list, _, _ := sights(t, rec.data)
			found := map[GoID]int{}
			for _, s := range list {
				if s.Kind == KindStatus && s.To == StateWaiting && !s.g.System {
					found[s.g.ID]++
					if s.FromKnown || s.g.SinceKnown || s.g.Since != 0 || s.g.BornKnown {
						t.Errorf("goroutine %d was there before the trace: %+v", s.g.ID, s.g)
					}
				}
			}
			if len(found) < 25 {
				t.Errorf("%d goroutines found waiting, want the 24 of the program at least", len(found))
			}
			for id, n := range found {
				if n > 2 { // a status, and the stack that comes later
					t.Errorf("goroutine %d was found %d times", id, n)
				}
			}
		})
	}
}

// TestAnnotations checks tasks, regions and logs.
func TestAnnotations(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			list, p, _ := sights(t, rec.data)
			type note struct {
				kind        Kind
				text, text2 string
			}
			var got []note
			tasks := map[string]sight{}
			for _, s := range list {
				switch s.Kind {
				case KindTaskBegin:
					tasks[p.String(s.Text)] = s
					fallthrough
				case KindTaskEnd, KindRegionBegin, KindRegionEnd, KindLog:
					got = append(got, note{s.Kind, p.String(s.Text), p.String(s.Text2)})
					if s.g.ID != 1 || s.Kind != KindTaskEnd && !strings.HasPrefix(s.site, "main.annotate") {
						t.Errorf("kind %d of goroutine %d at %s, want main.annotate of goroutine 1", s.Kind, s.g.ID, s.site)
					}
				}
			}
			want := []note{
				{KindTaskBegin, "order", ""}, {KindRegionBegin, "pack", ""}, {KindLog, "item", "lamp"}, {KindTaskBegin, "label", ""},
				{KindLog, "printer", "number 7"}, {KindTaskEnd, "label", ""}, {KindRegionEnd, "pack", ""}, {KindTaskEnd, "order", ""},
			}
			if !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if tasks["order"].Value == 0 || tasks["label"].Parent != tasks["order"].Value {
				t.Errorf("task label is %d in %d, want it in order, %d", tasks["label"].Value, tasks["label"].Parent, tasks["order"].Value)
			}
		})
	}
}

// TestSystem checks that the runtime's own goroutines are told apart.
func TestSystem(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			list, p, info := sights(t, rec.data)
			system := map[GoID]bool{}
			runtime := 0
			for _, s := range list {
				if s.g.ID == 0 {
					continue
				}
				system[s.g.ID] = s.g.System
				own := strings.HasPrefix(s.entry, "runtime.") && s.entry != "runtime.main" || strings.HasPrefix(s.entry, "runtime/trace.")
				if own != s.g.System {
					t.Fatalf("goroutine %d, started as %q: system %v, want %v", s.g.ID, s.entry, s.g.System, own)
				}
				if own {
					runtime++
				}
				if s.Kind == KindBlock && own && s.Wait != WaitRuntime {
					t.Errorf("%s waits for %v, want the runtime", s.entry, s.Wait)
				}
			}
			if runtime == 0 {
				t.Error("none of the runtime's own goroutines was seen")
			}
			users := int64(0)
			for _, s := range system {
				if !s {
					users++
				}
			}
			if info.Goroutines != users || p.Goroutines != users {
				t.Errorf("Info has %d goroutines, Program %d; want %d", info.Goroutines, p.Goroutines, users)
			}
		})
	}
}

// TestInfo checks what is told of each trace as a whole.
func TestInfo(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			var calls []int64
			var kinds [NumKinds]int
			p, info, err := Walk(input(t, rec.data), func(_ *Program, ev *Event) { kinds[ev.Kind]++ }, func(n int64) { calls = append(calls, n) })
			if err != nil {
				t.Fatal(err)
			}
			if info.Source != "-" || info.Format != rec.format || info.Bytes != int64(len(rec.data)) || !info.Complete || info.Why != "" || info.Unread != 0 {
				t.Errorf("%+v, want a whole trace of %s with %d bytes", info, rec.format, len(rec.data))
			}
			if info.Duration < 500*time.Millisecond || info.Duration > 5*time.Second || p.Now != Time(info.Duration) {
				t.Errorf("duration %v, program's clock %v; want a bit more than half a second", info.Duration, p.Now)
			}
			if rec.version < 25 && !info.Start.IsZero() || rec.version >= 25 && info.Start.Year() < 2025 {
				t.Errorf("begins at %v", info.Start)
			}
			procs := 2
			if rec.version < 22 {
				procs = 0 // golang.org/x/exp/trace keeps the first value to itself there
			}
			if info.Procs != procs || p.Procs != procs {
				t.Errorf("%d processors, want %d", info.Procs, procs)
			}
			seen := 0
			for _, n := range kinds {
				seen += n
			}
			if info.Events < int64(seen) || seen < 300 {
				t.Errorf("%d events, %d of them told; want hundreds", info.Events, seen)
			}
			if !slices.IsSorted(calls) || len(calls) == 0 || calls[len(calls)-1] != info.Bytes {
				t.Errorf("progress %v, want it to rise to %d", calls, info.Bytes)
			}
		})
	}
}

// TestGenerations checks that a trace of many generations is one: a goroutine
// that waits through all of them was found once, and a stack has one id.
func TestGenerations(t *testing.T) {
	lines := marks(t, filepath.Join("testdata", "waits", "main.go"))
	for _, rec := range recordings(t) {
		if rec.version < 22 {
			continue // no generations there
		}
		t.Run(rec.name, func(t *testing.T) {
			if n := len(generations(t, rec.data)); n < 4 {
				t.Fatalf("%d generations, want several", n)
			}
			list, p, _ := sights(t, rec.data)
			ids := map[string]StackID{}
			for _, s := range list {
				for _, id := range []StackID{s.Stack, s.ByStack} {
					if id == 0 {
						continue
					}
					frames := fmt.Sprint(p.Frames(id))
					if before, ok := ids[frames]; ok && before != id {
						t.Fatalf("stacks %d and %d are the same:\n%s", before, id, frames)
					}
					ids[frames] = id
				}
			}
			late := find(t, list, "nil-send", func(s sight) bool { return s.Kind == KindBlock && line(s.site) == lines["block nil-send"] })
			for _, s := range list {
				if s.g.ID == late.g.ID && s.Time > late.Time {
					t.Errorf("goroutine %d waits for ever, but %d happened at %v", s.g.ID, s.Kind, s.Time)
				}
			}
			g := p.Goroutine(late.g.ID)
			if g == nil || g.State != StateWaiting || g.Wait != WaitNilChan || g.Since != late.Time || !g.SinceKnown || g.Stack != late.Stack {
				t.Errorf("in the end it is %+v, want it to wait since %d", g, late.Time)
			}
		})
	}
}
