package cancelignored

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/giveups"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/orders"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
	"github.com/tracedoc/tracedoc/traceload"
)

const maxGroups = 3 // different stacks that one finding shows

var wrongIf = map[string]string{
	"outlives":     "the work is worth finishing although nobody waits for it, or those that go on were given another context on purpose",
	"slow-to-stop": "the goroutines are meant to finish the piece of work that they have in hand before they stop",
}

func (v *verdict) finding(p *traceload.Program) detectors.Finding {
	site := v.deaf.Site(p)
	f := detectors.Finding{
		Cause:      v.cause,
		Effect:     detectors.EffectDelays,
		Confidence: v.confidence,
		Evidence:   v.Evidence,
		Repair:     v.repair(),
		Site:       site,
		Groups:     v.deaf.Groups(p, detectors.Worker, maxGroups),
		WrongIf:    wrongIf[v.cause],
		Impact:     detectors.Impact{Goroutines: v.deaf.N, Blocked: v.deaf.Total, Occurrences: v.times()},
	}
	where := detectors.Short(site.Func)
	if v.cause == "slow-to-stop" {
		f.Impact.Goroutines, f.Impact.Blocked = v.waiters, v.awaited
		f.Title = fmt.Sprintf("Stopping takes up to %s: %s does not hear the %s %s", detectors.Duration(v.deaf.Longest), where, v.order(), v.giver(p))
	} else {
		f.Title = fmt.Sprintf("%s goes on for up to %s after the %s %s", where, detectors.Duration(v.deaf.Longest), v.order(), v.giver(p))
	}
	f.Detail = v.detail(p, site)
	f.Timeline = v.timeline(p, site)
	if v.orders != nil {
		f.Groups = append(f.Groups, v.canceller(p)...)
		f.Key = []string{p.Frame(v.orders.Site).Func}
	} else {
		f.Key = []string{p.Frame(v.left.Wait).Func}
	}
	return f
}

func (v *verdict) times() int {
	if v.orders != nil {
		return len(v.instances)
	}
	return v.deaf.N
}

// order names what told the goroutines to stop.
func (v *verdict) order() string {
	if v.orders != nil {
		switch v.orders.How {
		case orders.Closed:
			return "closing of the channel"
		case orders.Expired:
			return "deadline"
		}
	}
	return "cancellation"
}

// giver says where the order was given.
func (v *verdict) giver(p *traceload.Program) string {
	if v.left != nil {
		return "of its caller"
	}
	if v.orders.Site == 0 {
		return "of its context"
	}
	return "at " + detectors.FrameOf(p.Frame(v.orders.Site)).Where()
}

func (v *verdict) detail(p *traceload.Program, site detectors.Frame) string {
	var b strings.Builder
	if v.orders != nil {
		v.whoTold(p, &b)
	} else {
		way := &v.left.Ways[giveups.Cancelled]
		fmt.Fprintf(&b, "%s waits at %s for an answer of a goroutine that it starts at %s. %s its context was cancelled first, and it left.",
			detectors.Short(p.Frame(v.left.Wait).Func), detectors.FrameOf(p.Frame(v.left.Wait)).Where(), detectors.FrameOf(p.Frame(v.left.Created)).Where(), timesCapital(way.Count))
		if way.Stopped > 0 {
			fmt.Fprintf(&b, " %s stopped as well, within %s.", detectors.Count(way.Stopped, "goroutine"), detectors.Duration(giveups.Grace))
		}
	}
	d := &v.deaf
	siblings := ""
	if v.orders != nil {
		siblings = " of the same go statement"
	}
	fmt.Fprintf(&b, " %s%s went on, for %s on average and up to %s, %s in all", detectors.Count(d.N, "goroutine"), siblings, detectors.Duration(d.Mean()), detectors.Duration(d.Longest), lost(d.Total))
	if d.Alive > 0 {
		fmt.Fprintf(&b, "; %d still did when the trace ended", d.Alive)
	}
	fmt.Fprintf(&b, ". Meanwhile they were %s, at %s in %s.", d.Mostly(), site.Where(), detectors.Short(site.Func))
	if v.cause == "slow-to-stop" {
		fmt.Fprintf(&b, " %s was lost waiting for them", detectors.Duration(v.awaited))
		if at := v.worst().AwaitedAt; p.SiteID(at) != 0 {
			f := detectors.SiteOf(p, at)
			fmt.Fprintf(&b, ", at %s in %s", f.Where(), detectors.Short(f.Func))
		}
		b.WriteString(".")
	} else {
		b.WriteString(" Nobody is seen to wait for them: what they do then is for nobody.")
	}
	return b.String()
}

// whoTold says who gave the order, how often, and who obeyed.
func (v *verdict) whoTold(p *traceload.Program, b *strings.Builder) {
	c, n := v.orders, len(v.instances)
	site := detectors.FrameOf(p.Frame(c.Site))
	switch {
	case c.How == orders.Expired:
		fmt.Fprintf(b, "%s a context's deadline passed", timesCapital(n))
	case c.Site == 0:
		fmt.Fprintf(b, "%s a context was cancelled", timesCapital(n))
	case c.How == orders.Closed:
		fmt.Fprintf(b, "%s %s closed a channel at %s", timesCapital(n), detectors.Short(site.Func), site.Where())
	default:
		fmt.Fprintf(b, "%s %s cancelled a context at %s", timesCapital(n), detectors.Short(site.Func), site.Where())
	}
	fmt.Fprintf(b, ", which woke %s", detectors.Count(v.told, "goroutine"))
	if c.Created != 0 {
		fmt.Fprintf(b, " started at %s", detectors.FrameOf(p.Frame(c.Created)).Where())
	}
	if v.stopped > 0 && v.slowest > 0 {
		fmt.Fprintf(b, "; %d of them ended, the slowest after %s.", v.stopped, detectors.Duration(v.slowest))
	} else {
		fmt.Fprintf(b, "; %d of them ended at once.", v.stopped)
	}
}

func timesCapital(n int) string {
	if n == 1 {
		return "Once"
	}
	return fmt.Sprintf("%d times", n)
}

func lost(d time.Duration) string {
	if d < 10*time.Second {
		return detectors.Duration(d)
	}
	return fmt.Sprintf("%.0f goroutine-seconds", d.Seconds())
}

// worst is the instance whose deaf goroutine went on for longest.
func (v *verdict) worst() *orders.Instance {
	worst := v.instances[0]
	for _, in := range v.instances {
		for i := range in.Deaf {
			if in.Deaf[i].ID == v.deaf.Worst().ID {
				worst = in
			}
		}
	}
	return worst
}

func (v *verdict) timeline(p *traceload.Program, site detectors.Frame) []detectors.TimelineEvent {
	past := v.deaf.Worst()
	var list []detectors.TimelineEvent
	if v.orders != nil {
		in := v.worst()
		list = append(list, detectors.TimelineEvent{T: in.At, Goroutine: int64(in.By), Event: "cancelled", Text: "gives the order to stop: " + v.order() + " " + v.giver(p)})
		if f := p.SiteID(in.ToldAt); f != 0 {
			list = append(list, detectors.TimelineEvent{T: in.At, Goroutine: int64(in.ToldID), Event: "woken", Text: "hears of it, at " + detectors.FrameOf(p.Frame(f)).Where()})
		}
	} else {
		list = append(list, detectors.TimelineEvent{T: past.Since, Goroutine: v.caller(past.ID), Event: "cancelled",
			Text: "is cancelled while it waits at " + detectors.FrameOf(p.Frame(v.left.Wait)).Where() + ", and leaves"})
	}
	list = append(list, detectors.TimelineEvent{T: past.Since, Goroutine: int64(past.ID), Event: "working", Text: "goes on at " + site.Where()})
	end := detectors.TimelineEvent{T: past.Until, Goroutine: int64(past.ID), Event: "ended", Text: "ends, " + detectors.Duration(past.Length()) + " later"}
	if !past.Ended {
		end.Event, end.Text = "working", "still goes on when the trace ends"
	}
	return append(list, end)
}

func (v *verdict) caller(of traceload.GoID) int64 {
	for _, r := range v.left.Ways[giveups.Cancelled].Results {
		if r.ID == of {
			return int64(r.Caller)
		}
	}
	return int64(traceload.NoGoroutine)
}

func (v *verdict) canceller(p *traceload.Program) []detectors.Group {
	if v.orders.How == orders.Expired {
		return nil
	}
	in := v.worst()
	return []detectors.Group{{Role: detectors.Canceller, Count: 1, Goroutines: []int64{int64(in.By)}, State: "running", Stack: detectors.StackOf(p, v.orders.Stack)}}
}

// repair chooses by what the deaf do.
func (v *verdict) repair() string {
	switch v.deaf.Most() {
	case trails.Network, trails.Syscall:
		return "unblock-on-cancel"
	case trails.Sending, trails.Waiting:
		return "select-with-done"
	}
	return ""
}
