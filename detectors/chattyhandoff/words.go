package chattyhandoff

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// wrongIf says per cause when the finding is no defect.
var wrongIf = map[string]string{
	perItem:  "each item must be seen at once, and there is time to spare",
	pingPong: "the goroutine that answers does more than guard a value: it keeps an order, or waits for other things too",
}

func (c *chatter) finding(p *traceload.Program) detectors.Finding {
	l := c.link
	give, take := detectors.FrameOf(p.Frame(l.give.frame)), detectors.FrameOf(p.Frame(l.take.frame))
	f := detectors.Finding{
		Cause:      c.cause,
		Effect:     detectors.EffectWastes,
		Active:     c.active,
		Confidence: c.confidence,
		Evidence:   c.evidence,
		Impact:     detectors.Impact{Goroutines: l.give.goroutines + l.take.goroutines, Blocked: c.lost, Occurrences: c.count},
		Site:       give,
		Timeline:   l.timeline(p),
		WrongIf:    wrongIf[c.cause],
		Groups:     []detectors.Group{l.give.group(p, detectors.Sender), l.take.group(p, detectors.Receiver)},
		Key:        []string{take.Func},
		Estimate:   c.estimate(),
	}
	if c.cause == pingPong {
		c.wordPingPong(p, &f, give, take)
	} else {
		c.wordPerItem(p, &f, give, take)
	}
	return f
}

// batch is how many items a batch is reckoned to hold. Fixture: the mended half of
// chatty-handoff-per-item hands over 256 at a time.
const batch = 100

// estimate says what is saved where items go in batches, or stay where they are.
func (c *chatter) estimate() *detectors.Estimate {
	e := &detectors.Estimate{Time: c.lost, CPU: c.lost, Wakeups: c.count}
	how := fmt.Sprintf("%s for parking and waking, and what the woken was ready before it ran, up to %s", detectors.Duration(parkAndWake), detectors.Duration(wakeAtMost))
	switch {
	case c.cause == perItem:
		e.Time, e.CPU, e.Wakeups = c.lost-c.lost/batch, c.lost-c.lost/batch, c.count-c.count/batch
		e.Text = fmt.Sprintf("In batches of %d one hand-over in %d is left. Each was reckoned at %s.", batch, batch, how)
	case c.request == nil:
		e.Text = fmt.Sprintf("Done by one of them alone, no turn has to be handed on. Each was reckoned at %s.", how)
	default:
		e.Text = fmt.Sprintf("Done in place, under a mutex or with an atomic, hardly any caller waits. Each hand-over was reckoned at %s.", how)
	}
	return e
}

func (c *chatter) wordPerItem(p *traceload.Program, f *detectors.Finding, give, take detectors.Frame) {
	f.Title = fmt.Sprintf("%s hands over items one by one, and %s has %s of work for each", detectors.Short(give.Func), detectors.Short(take.Func), work(c.work))
	var b strings.Builder
	fmt.Fprintf(&b, "At %s items go to %s (%s), and %d times one of the two had to be woken for a single item. %s",
		give.Where(), detectors.Short(take.Func), take.Where(), c.count, c.cost())
	f.Detail = b.String()
	for _, o := range c.others {
		f.Explains = append(f.Explains, detectors.FrameOf(p.Frame(o.take.frame)))
	}
}

func (c *chatter) wordPingPong(p *traceload.Program, f *detectors.Finding, give, take detectors.Frame) {
	if c.request == nil {
		f.Site, f.Explains = take, []detectors.Frame{give}
		f.Groups[0].Role, f.Groups[1].Role = detectors.Worker, detectors.Waiter
		f.Title = fmt.Sprintf("goroutines take turns in %s, for %s of work each", detectors.Short(take.Func), work(c.work))
		f.Detail = fmt.Sprintf("Each waits at %s for its turn, which another gives at %s, %d times in all. %s", take.Where(), give.Where(), c.count, c.cost())
		return
	}
	request := detectors.FrameOf(p.Frame(c.request.give.frame))
	f.Site, f.Key = take, []string{give.Func}
	f.Explains = []detectors.Frame{request, give, detectors.FrameOf(p.Frame(c.request.take.frame))}
	f.Groups[0].Role, f.Groups[1].Role = detectors.Worker, detectors.Waiter
	f.Title = fmt.Sprintf("%s asks another goroutine and waits for its answer, for %s of work", detectors.Short(take.Func), work(c.work))
	f.Detail = fmt.Sprintf("%s asks at %s and waits at %s; %s answers at %s. Each question wakes one goroutine and each answer another, %d times in all. %s",
		detectors.Short(take.Func), request.Where(), take.Where(), detectors.Short(give.Func), give.Where(), c.count, c.cost())
}

func work(d time.Duration) string { return detectors.Duration(d) }

// cost says how often it happened and what it took.
func (c *chatter) cost() string {
	rate := float64(c.busy) / max(c.active.Seconds(), 1e-9)
	return fmt.Sprintf("In bursts of %.0f a second, %s in all, handing over took about %.0f%% of the time: %s, estimated from how long each was ready before it ran (half of them %s or less).",
		rate, detectors.Duration(c.active), percent(c.share()), detectors.Duration(c.lost.Round(time.Microsecond)), detectors.Duration(c.latency))
}

// group describes one end of the link as it is while they hand over.
func (e *end) group(p *traceload.Program, role detectors.Role) detectors.Group {
	g := detectors.Group{
		Role: role, Count: e.goroutines, State: traceload.StateRunning.String(), Reason: p.String(e.wait),
		Stack: detectors.StackOf(p, e.stack), CreatedBy: detectors.SiteOf(p, e.created), Entry: detectors.EntryOf(p, e.entry),
	}
	if e.wait != 0 {
		g.State = traceload.StateWaiting.String()
	}
	for _, id := range e.ids[:min(e.goroutines, len(e.ids), detectors.MaxGroupIDs)] {
		g.Goroutines = append(g.Goroutines, int64(id))
	}
	return g
}

// timeline tells some transfers in a row.
func (l *link) timeline(p *traceload.Program) []detectors.TimelineEvent {
	give, take := detectors.FrameOf(p.Frame(l.give.frame)), detectors.FrameOf(p.Frame(l.take.frame))
	var list []detectors.TimelineEvent
	n := min(l.storyN, len(l.story))
	for i := l.storyN - n; i < l.storyN; i++ {
		s := l.story[i%len(l.story)]
		e := detectors.TimelineEvent{T: s.at, Goroutine: int64(s.taker), Event: "woken", Text: fmt.Sprintf("is woken by goroutine %d, which gives at %s", s.giver, give.Where())}
		if !s.takerWoken {
			e = detectors.TimelineEvent{T: s.at, Goroutine: int64(s.giver), Event: "woken", Text: fmt.Sprintf("is woken by goroutine %d, which takes at %s", s.taker, take.Where())}
		}
		list = append(list, e)
	}
	return list
}
