package headofline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// When it is worth a finding. Fixtures: head-of-line-*; their mended twins,
// healthy-pipeline and healthy-fanout must stay silent.
const (
	hitsAtLeast = 5                     // times that somebody lost time
	lostAtLeast = 20 * time.Millisecond // in all
	oftenEnough = 0.1                   // of the taker's waits with proof: a wake-up that a busy machine delays looks alike
	reportable  = 0.3                   // confidence
)

func (o *observer) judge(p *traceload.Program) {
	var list []*line
	for _, l := range o.lines {
		if l.hits >= hitsAtLeast && l.lost >= lostAtLeast && float64(l.proved+l.overtaken) >= oftenEnough*float64(l.count) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *line) int {
		return cmp.Or(cmp.Compare(b.lost, a.lost), cmp.Compare(a.key.take, b.key.take), cmp.Compare(a.key.give, b.key.give))
	})
	for _, l := range list {
		var sum odds.Sum
		if l.proved > 0 {
			sum.Note(1.5, "%d times, while it waited for one, others stood ready to give at the same line: each has a channel of its own, and they are taken in a fixed order", l.proved)
		}
		if l.overtaken > 0 {
			sum.Note(1.5, "%d times one that had begun later was done while it waited for an earlier one, and did not end that wait", l.overtaken)
		}
		if l.hits >= 4*hitsAtLeast {
			sum.Note(0.5, "it happened %d times", l.hits)
		}
		if part := l.lost.Seconds() / max(l.waited.Seconds(), 1e-9); part >= 0.5 {
			sum.Note(0.7, "for each second that it waited there others lost %.1f", part)
		}
		if l.testing {
			sum.Note(-4, "package testing runs it: it may be what the test is about")
		}
		if c := sum.Confidence(-1); c >= reportable {
			o.pass.Report(l.finding(p, sum.Evidence, c))
		}
	}
}

func (l *line) finding(p *traceload.Program, evidence []detectors.Evidence, confidence float64) detectors.Finding {
	take, give := detectors.FrameOf(p.Frame(l.key.take)), detectors.FrameOf(p.Frame(l.key.give))
	f := detectors.Finding{
		Cause: inOrder, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: evidence,
		Impact: detectors.Impact{Goroutines: l.victims.Len(), Blocked: l.lost, Occurrences: l.hits},
		Site:   take, Key: []string{give.Func}, Explains: []detectors.Frame{give},
		WrongIf: "what is done with the results must be done in this order, and as many as there is room for are at work meanwhile",
	}
	f.Title = fmt.Sprintf("%s takes results in a fixed order, and those that are ready wait behind a slow one", detectors.Short(take.Func))
	var b strings.Builder
	fmt.Fprintf(&b, "At %s it waits for one result after another, given at %s. While it waited for a slow one (up to %s), others were ready: %d times %s could not go on with their work because of that, %s in all.",
		take.Where(), give.Where(), detectors.Duration(l.longest.to.Sub(l.longest.from)), l.hits, detectors.Count(l.victims.Len(), "goroutine"), detectors.Duration(l.lost))
	f.Detail = b.String()
	f.Estimate = &detectors.Estimate{Time: l.lost / time.Duration(l.victims.Len()), Text: fmt.Sprintf(
		"Taken as they come, or with room for more of them to be ready, results would not keep those who made them from the next work; the time lost is divided by the %s that lost it side by side.", detectors.Count(l.victims.Len(), "goroutine"))}
	taker := detectors.Group{Role: detectors.Receiver, Count: 1, Goroutines: []int64{int64(l.taker)}, State: traceload.StateWaiting.String(),
		Reason: "chan receive", Stack: detectors.StackOf(p, l.takeStack), Entry: detectors.EntryOf(p, l.takerEntry)}
	victims := detectors.Group{Role: detectors.Victim, Count: l.victims.Len(), Goroutines: l.victims.IDs(), State: traceload.StateWaiting.String(), Reason: p.String(l.reason),
		Stack: detectors.StackOf(p, l.waitStack), Entry: detectors.EntryOf(p, l.entry), CreatedBy: detectors.SiteOf(p, l.created)}
	f.Groups = []detectors.Group{taker, victims}
	f.Timeline = []detectors.TimelineEvent{
		{T: l.longest.from, Goroutine: int64(l.taker), Event: "blocked", Text: "waits for a result at " + take.Where()},
		{T: l.longest.to, Goroutine: int64(l.slow), Event: "sent", Text: fmt.Sprintf("gives it after %s, at %s", detectors.Duration(l.longest.to.Sub(l.longest.from)), give.Where())},
	}
	return f
}
