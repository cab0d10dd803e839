package traceload

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// watch returns an observer that checks what holds at every event of every
// trace, however damaged. The returned function checks what holds in the end.
func watch(t testing.TB) (observe func(*Program, *Event), finish func(*Program, Info)) {
	var (
		now    Time
		events int64
		alive  = map[GoID]int32{} // slots
		taken  = map[int32]GoID{}
		spent  = map[GoID]*[StateWaiting + 1]time.Duration{}
		most   int
	)
	fail := func(p *Program, ev *Event, format string, args ...any) {
		t.Helper()
		g := Goroutine{}
		if ev.G != nil {
			g = *ev.G
		}
		t.Fatalf("event %d: %+v of %+v: %s", events, *ev, g, fmt.Sprintf(format, args...))
	}
	observe = func(p *Program, ev *Event) {
		events++
		if ev.Time < now || ev.Time != p.Now {
			fail(p, ev, "time went from %d to %d, the program's is %d", now, ev.Time, p.Now)
		}
		now = ev.Time
		for _, id := range []StringID{ev.Reason, ev.Text, ev.Text2} {
			_ = p.String(id)
		}
		for _, id := range []StackID{ev.Stack, ev.ByStack} {
			s := p.Stack(id)
			if s == nil || s.ID != id || len(p.Frames(id)) != len(s.Frames) || s.Site >= len(s.Frames) || s.Owner >= len(s.Frames) {
				fail(p, ev, "stack %d is %+v", id, s)
			}
			if s.Testing && !p.Tested() {
				fail(p, ev, "stack %d is a test's", id)
			}
			_ = p.Site(id)
		}

		g := ev.G
		if ev.Kind > KindEnd {
			if g != nil && p.Goroutine(g.ID) != g {
				fail(p, ev, "a goroutine that is not alive")
			}
			return
		}
		if g == nil {
			fail(p, ev, "no goroutine")
		}
		if g.State != ev.To || ev.Lived < 0 || g.Since > now || g.Born > now {
			fail(p, ev, "state %v since %d", g.State, g.Since)
		}
		if (ev.Waker != WakerNone) != (ev.Kind == KindUnblock) {
			fail(p, ev, "a waker")
		}
		if (ev.Waker == WakerGoroutine || ev.Waker == WakerDeadline) != (ev.Kind == KindUnblock && ev.By != nil && ev.By != g) {
			fail(p, ev, "waker and By differ")
		}
		if ev.By != nil && p.Goroutine(ev.By.ID) != ev.By {
			fail(p, ev, "By is not alive")
		}
		lived := spent[g.ID]
		if lived == nil {
			lived = new([StateWaiting + 1]time.Duration)
			spent[g.ID] = lived
		}
		lived[ev.From] += ev.Lived
		lived[StateUnknown], lived[StateEnded], lived[StateWaiting] = 0, 0, 0
		for s := StateUnknown; s <= StateWaiting; s++ {
			if g.Spent(s) != lived[s] {
				fail(p, ev, "%v for %v, want %v", s, g.Spent(s), lived[s])
			}
		}
		slot, known := alive[g.ID]
		if known && slot != g.Slot {
			fail(p, ev, "moved from slot %d", slot)
		}
		if ev.Kind == KindEnd {
			if p.Goroutine(g.ID) != nil {
				fail(p, ev, "ended, and still alive")
			}
			if p.InSlot(g.Slot) != g || g.State != StateEnded {
				fail(p, ev, "%v at its end, and goroutine %d has its slot", g.State, p.InSlot(g.Slot).ID)
			}
			delete(alive, g.ID)
			delete(taken, g.Slot)
			delete(spent, g.ID)
			return
		}
		if other, ok := taken[g.Slot]; ok && other != g.ID {
			fail(p, ev, "slot is goroutine %d's", other)
		}
		if int(g.Slot) >= p.Slots() || g.Slot < 0 {
			fail(p, ev, "%d slots", p.Slots())
		}
		alive[g.ID], taken[g.Slot] = g.Slot, g.ID
		most = max(most, len(alive))
	}
	finish = func(p *Program, info Info) {
		t.Helper()
		n := 0
		for g := range p.Live {
			if slot, ok := alive[g.ID]; !ok || slot != g.Slot || p.Goroutine(g.ID) != g {
				t.Fatalf("goroutine %d is in Live, and has slot %d (known: %v)", g.ID, slot, ok)
			}
			n++
		}
		if n != len(alive) {
			t.Fatalf("Live has %d goroutines, want %d", n, len(alive))
		}
		if p.Slots() > most {
			t.Fatalf("%d slots for at most %d goroutines at a time", p.Slots(), most)
		}
		if events > info.Events || info.Duration < 0 {
			t.Fatalf("%d events told: %+v", events, info)
		}
		checkInfo(t, info)
	}
	return observe, finish
}

// checkInfo checks what holds of every trace that could be read in part.
func checkInfo(t testing.TB, info Info) {
	t.Helper()
	if info.Complete != (info.Why == "") || info.Complete && info.Unread != 0 {
		t.Fatalf("complete and incomplete: %+v", info)
	}
	if info.Unread < 0 || info.Unread > info.Bytes {
		t.Fatalf("more bytes unread than there are: %+v", info)
	}
	oneLine(t, info.Why)
}

// oneLine checks that an error's text is fit for a terminal's line.
func oneLine(t testing.TB, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\n\r") || len(text) > 500 {
		t.Fatalf("not one line: %q", text)
	}
}

// walkBytes walks over data and checks all that must hold whatever it is. The
// program is nil if nothing could be read.
func walkBytes(t testing.TB, data []byte) (*Program, Info, error) {
	t.Helper()
	in, err := Open(context.Background(), "-", OpenOptions{Stdin: bytes.NewReader(data)})
	if err != nil {
		oneLine(t, err.Error())
		return nil, Info{}, err
	}
	defer in.Close()
	observe, finish := watch(t)
	p, info, err := Walk(in, observe, nil)
	if (err == nil) != (p != nil) {
		t.Fatalf("program %v with error %v", p, err)
	}
	if err != nil {
		oneLine(t, err.Error())
		if !strings.HasPrefix(err.Error(), "-: ") {
			t.Fatalf("the error does not begin with the source: %v", err)
		}
		return nil, info, err
	}
	finish(p, info)
	return p, info, nil
}

func TestInvariants(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			if _, info, err := walkBytes(t, rec.data); err != nil || !info.Complete {
				t.Errorf("%v, %+v", err, info)
			}
		})
	}
}
