package serialwaits

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// units names what was seen whole: "25 requests", "12 tasks "settle"".
func units(p *traceload.Program, s *stats) string {
	if s.named > 0 {
		return detectors.Count(s.units, "task") + fmt.Sprintf(" %q", p.String(s.name))
	}
	return detectors.Count(s.units, "request")
}

func each(s *stats, d time.Duration) string {
	return detectors.Duration((d / time.Duration(s.units)).Round(10 * time.Microsecond))
}

// base is what both causes have in common.
func (s *stats) base(p *traceload.Program, v *verdict, c *call) detectors.Finding {
	f := detectors.Finding{
		Effect: detectors.EffectDelays, Confidence: v.confidence, Evidence: v.Evidence, Unproven: v.unproven != "",
		Site:   detectors.FrameOf(p.Frame(v.frame)),
		Impact: detectors.Impact{Goroutines: s.goroutines.Len(), Blocked: s.saved, Occurrences: s.units},
		Groups: []detectors.Group{{
			Role: detectors.Waiter, Count: s.goroutines.Len(), Goroutines: s.goroutines.IDs(), State: traceload.StateWaiting.String(), Stack: detectors.StackOf(p, c.wait),
		}},
		Timeline: []detectors.TimelineEvent{
			{T: s.began, Goroutine: int64(s.by), Event: "began", Text: "begins the last of them that was seen whole"},
			{T: s.ended, Goroutine: int64(s.by), Event: "ended", Text: fmt.Sprintf("ends it, %s later", detectors.Duration(s.ended.Sub(s.began)))},
		},
	}
	return f
}

// onOneConnection is the repair for calls that share a connection.
const onOneConnection = "pipeline-requests"

func (l *loop) finding(p *traceload.Program, v *verdict) detectors.Finding {
	f := l.base(p, v, l.call)
	f.Cause = sameCall
	site := p.Frame(l.call.place[l.call.site])
	where, callee := detectors.Short(f.Site.Func), l.callee(p, v)
	each, n := each(&l.stats, l.sum), float64(l.calls)/float64(l.units)
	f.Title = fmt.Sprintf("%s waits for %s again and again, %.0f times in a row", where, callee, n)
	f.Detail = fmt.Sprintf("At %s, %s waits for %s, and asks anew when the answer is there. %s of these calls were made in %s; "+
		"they took %s of the %s that one lasts on average.",
		f.Site.Where(), where, callee, fmt.Sprint(l.calls), units(p, &l.stats), each, eachOf(&l.stats))
	if v.unproven != "" {
		f.Detail += " But " + v.unproven + "."
	}
	if l.call.raw {
		f.Repair = onOneConnection
	}
	if v.unknown {
		f.Detail += " Whether a call needs what the one before gave, as from page to page, only the source can tell."
	}
	f.WrongIf = "a call needs what the one before gave, or the other side cannot bear several at a time"
	f.Key = []string{site.Func}
	f.Explains = []detectors.Frame{detectors.FrameOf(site)}
	f.Estimate = &detectors.Estimate{Time: l.saved, Text: fmt.Sprintf("With %d calls at a time they take an eighth of their sum, or as long as the longest of them: "+
		"%s less for each. One request for all of them, if the other side has it, saves more.", atATime, eachSaved(&l.stats))}
	return f
}

// callee names what is called from the line that is shown.
func (l *loop) callee(p *traceload.Program, v *verdict) string {
	for i, id := range l.call.place {
		if id == v.frame && i > 0 {
			return detectors.Short(p.Frame(l.call.place[i-1]).Func)
		}
	}
	frames := p.Stack(l.call.wait).Frames
	if i := len(frames) - len(l.call.place) - 1; i >= 0 {
		return detectors.Short(p.Frame(frames[i]).Func)
	}
	return "an answer"
}

func eachOf(s *stats) string { return each(s, s.length) }

func eachSaved(s *stats) string { return each(s, s.saved) }

func (r *row) finding(p *traceload.Program, v *verdict) detectors.Finding {
	f := r.base(p, v, r.calls[0])
	f.Cause = independentCalls
	where := detectors.Short(f.Site.Func)
	var list []string
	for i := range r.n {
		at := detectors.FrameOf(p.Frame(r.frame(i)))
		c := r.calls[i]
		name := "a call"
		frames := p.Stack(c.wait).Frames
		if j := len(frames) - r.outer - 2; j >= 0 {
			name = detectors.Short(p.Frame(frames[j]).Func)
		}
		list = append(list, fmt.Sprintf("%s (%s, %s)", name, at.Where(), each(&r.stats, r.sums[i])))
		f.Explains = append(f.Explains, at)
		f.Key = append(f.Key, name)
	}
	all := strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
	if v.unproven == "" {
		f.Title = fmt.Sprintf("%s waits for %d calls one after the other, and none needs what another gives", where, r.n)
	} else {
		f.Title = fmt.Sprintf("%s waits for %d calls one after the other", where, r.n)
	}
	f.Detail = fmt.Sprintf("In %s, %s waits for %s in a row: %s together, of the %s that one lasts on average.",
		units(p, &r.stats), where, all, each(&r.stats, r.sum), eachOf(&r.stats))
	if v.unproven != "" {
		f.Detail += " But " + v.unproven + "."
	}
	f.WrongIf = "one of them changes what another reads, or may only be made if another succeeds"
	f.Estimate = &detectors.Estimate{Time: r.saved, Text: fmt.Sprintf("Side by side they take as long as the longest, instead of their sum: %s less for each.", eachSaved(&r.stats))}
	return f
}
