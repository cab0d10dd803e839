// Package trails follows one goroutine from a moment on: where it stands, and
// what it spends its time with. Detectors follow those that should have stopped.
package trails

import (
	"fmt"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// Trail is what one goroutine did since a moment.
type Trail struct {
	Since traceload.Time
	Until traceload.Time // its end, or the trace's
	Ended bool
	Spent [Pastimes]time.Duration
	Waits int // that began since then
	Fed   int // … and that another goroutine ended by handing it something or by closing what it receives from

	common []traceload.FrameID // of all stacks where it stood: the outermost frames that they share, outermost first
	last   traceload.StackID   // the last of those stacks
	seen   bool
	Stack  traceload.StackID // where it stood for longest
	at     time.Duration
	Reason traceload.StringID // of the wait there; 0 if it was no wait
}

// Pastime is what time is spent with.
type Pastime uint8

// The pastimes. Running includes waiting for a processor.
const (
	Running Pastime = iota
	Sleeping
	Network
	Syscall
	Locked
	Sending
	Waiting // on channels, selects, WaitGroups, Conds

	Pastimes
)

// phrases complete "it was ...".
var phrases = [Pastimes]string{"running", "asleep", "waiting for the network", "in system calls", "waiting for a lock", "waiting to send", "waiting to be told something"}

// Begin starts to follow g.
func (t *Trail) Begin(p *traceload.Program, g *traceload.Goroutine, since traceload.Time) {
	*t = Trail{Since: since, common: t.common[:0]}
	if g.State == traceload.StateWaiting || g.State == traceload.StateSyscall {
		t.stand(p, g.Stack, false)
	}
}

// Observe takes an event of the goroutine that is followed: of its blocking,
// waking, stopping, system calls, and end.
func (t *Trail) Observe(p *traceload.Program, ev *traceload.Event) {
	lived := min(ev.Lived, p.Now.Sub(t.Since))
	t.spend(pastime(ev.From, ev.Wait), lived)
	switch ev.Kind {
	case traceload.KindBlock:
		t.Waits++
		t.stand(p, ev.Stack, false)
	case traceload.KindSyscallBegin:
		t.stand(p, ev.Stack, false)
	case traceload.KindUnblock, traceload.KindSyscallEnd:
		t.stood(ev.Stack, lived, ev.Reason)
	case traceload.KindStop:
		t.stand(p, ev.Stack, true)
	case traceload.KindEnd:
		t.Until, t.Ended = p.Now, true
	}
}

// Finish closes a trail whose goroutine is alive when the trace ends.
func (t *Trail) Finish(p *traceload.Program, g *traceload.Goroutine) {
	lived := min(p.InState(g), p.Now.Sub(t.Since))
	t.spend(pastime(g.State, g.Wait), lived)
	if g.State == traceload.StateWaiting || g.State == traceload.StateSyscall {
		t.stand(p, g.Stack, false)
		t.stood(g.Stack, lived, g.Reason)
	}
	t.Until = p.Now
}

// Length is how long the trail is.
func (t *Trail) Length() time.Duration { return t.Until.Sub(t.Since) }

func (t *Trail) spend(what Pastime, d time.Duration) { t.Spent[what] += max(0, d) }

func (t *Trail) stood(stack traceload.StackID, d time.Duration, reason traceload.StringID) {
	if d > t.at && stack != 0 {
		t.Stack, t.at, t.Reason = stack, d, reason
	}
}

// stand notes where it stands. Of a running goroutine the innermost function is
// known, but its line means nothing: the call that led there counts.
func (t *Trail) stand(p *traceload.Program, stack traceload.StackID, running bool) {
	if stack != 0 && stack != t.last {
		t.standNew(p, stack, running)
	}
}

func (t *Trail) standNew(p *traceload.Program, stack traceload.StackID, running bool) {
	t.last = stack
	if running && t.Stack == 0 {
		t.Stack = stack
	}
	st := p.Stack(stack)
	frames := st.Frames
	if running && st.Site >= 0 && st.Site < len(frames)-1 && p.Frame(frames[st.Site+1]).Origin == traceload.OriginUser {
		frames = frames[st.Site+1:]
	}
	if !t.seen {
		t.seen = true
		for i := len(frames) - 1; i >= 0; i-- {
			t.common = append(t.common, frames[i])
		}
		return
	}
	n := 0
	for n < len(t.common) && n < len(frames) && t.common[n] == frames[len(frames)-1-n] {
		n++
	}
	t.common = t.common[:n]
}

// Site is the innermost line of the user's on which it stood all the time, 0 if
// there is none.
func (t *Trail) Site(p *traceload.Program) traceload.FrameID {
	for i := len(t.common) - 1; i >= 0; i-- {
		if p.Frame(t.common[i]).Origin == traceload.OriginUser {
			return t.common[i]
		}
	}
	return 0
}

// add merges what another goroutine spent.
func (t *Trail) add(o *Trail) {
	for i := range t.Spent {
		t.Spent[i] += o.Spent[i]
	}
	t.Waits += o.Waits
	t.Fed += o.Fed
}

// Most is what most of the time was spent with.
func (t *Trail) Most() (most Pastime) {
	for w := range Pastimes {
		if t.Spent[w] > t.Spent[most] {
			most = w
		}
	}
	return most
}

// Mostly says what the time was spent with, most of it first: "asleep (80%) and
// running (20%)".
func (t *Trail) Mostly() string {
	var sum time.Duration
	first, second := t.Most(), Pastimes
	for i, d := range t.Spent {
		sum += d
		if Pastime(i) != first && d > 0 && (second == Pastimes || d > t.Spent[second]) {
			second = Pastime(i)
		}
	}
	percent := func(w Pastime) float64 { return 100 * t.Spent[w].Seconds() / max(sum.Seconds(), 1e-9) }
	if second == Pastimes || percent(second) < 10 {
		return phrases[first]
	}
	return fmt.Sprintf("%s (%.0f%% of that time) and %s (%.0f%%)", phrases[first], percent(first), phrases[second], percent(second))
}

func pastime(s traceload.State, w traceload.Wait) Pastime {
	switch s {
	case traceload.StateSyscall:
		return Syscall
	case traceload.StateWaiting:
		return waits[w]
	}
	return Running
}

// waits is what waits of each kind are.
var waits = func() (of [traceload.NumWaits]Pastime) {
	for w := range traceload.NumWaits {
		switch {
		case w == traceload.WaitSleep:
			of[w] = Sleeping
		case w == traceload.WaitNetwork:
			of[w] = Network
		case w.IsLock(), w == traceload.WaitSemaphore:
			of[w] = Locked
		case w == traceload.WaitChanSend:
			of[w] = Sending
		default:
			of[w] = Waiting
		}
	}
	return of
}()
