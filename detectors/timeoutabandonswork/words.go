package timeoutabandonswork

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/trails"
	"github.com/tracedoc/tracedoc/traceload"
)

const maxGroups = 3 // different stacks that one finding shows

var wrongIf = map[string]string{
	lateSender:   "somebody is still going to receive what these goroutines send",
	stillRunning: "the result is wanted although its caller has left, for a cache for example, or other callers share the work",
}

// site is the line where the work goes on, or where the sender stands.
func (v *verdict) site(p *traceload.Program) detectors.Frame {
	if v.cause == lateSender {
		return detectors.SiteOf(p, v.results[0].SendsAt)
	}
	return v.work.Site(p)
}

func (v *verdict) finding(p *traceload.Program) detectors.Finding {
	site, waits := v.site(p), detectors.FrameOf(p.Frame(v.c.Wait))
	n := len(v.results)
	f := detectors.Finding{
		Cause:      v.cause,
		Confidence: v.confidence,
		Evidence:   v.Evidence,
		Site:       site,
		Impact:     detectors.Impact{Goroutines: n, Blocked: v.work.Total, Occurrences: v.way.Count},
		WrongIf:    wrongIf[v.cause],
		Key:        []string{waits.Func},
		Timeline:   v.timeline(p, site, waits),
	}
	if v.cause == lateSender {
		f.Effect = detectors.EffectGrows
		f.Impact.Blocked = 0
		for _, r := range v.results {
			f.Impact.Blocked += r.SendsFor
		}
		f.Title = fmt.Sprintf("%s at %s for a caller that has left: %s stuck for good", senders(n), site.Where(), are(n))
		f.Groups = v.work.Groups(p, detectors.Sender, maxGroups)
	} else {
		f.Effect = detectors.EffectDelays
		f.Title = fmt.Sprintf("%s goes on for up to %s after its caller gave up", detectors.Short(site.Func), detectors.Duration(v.work.Longest))
		f.Groups = v.work.Groups(p, detectors.Worker, maxGroups)
		if most := v.work.Most(); most == trails.Network || most == trails.Syscall {
			f.Repair = "unblock-on-cancel"
		}
	}
	f.Explains = []detectors.Frame{site, detectors.FrameOf(p.Frame(v.c.Created))}
	f.Detail = v.detail(p, site, waits)
	if v.cause == lateSender {
		f.Adds = fmt.Sprintf("Whoever would receive has left: at %s in %s %s ended the wait of %d callers, after %s on average.",
			waits.Where(), detectors.Short(waits.Func), v.limit(), v.way.Count, detectors.Duration(v.patience()))
	}
	return f
}

func senders(n int) string {
	if n == 1 {
		return "A goroutine sends"
	}
	return fmt.Sprintf("%d goroutines send", n)
}

func are(n int) string {
	if n == 1 {
		return "it is"
	}
	return "they are"
}

func (v *verdict) detail(p *traceload.Program, site, waits detectors.Frame) string {
	var b strings.Builder
	c, way, n := v.c, v.way, len(v.results)
	fmt.Fprintf(&b, "%s starts a goroutine at %s and waits for its answer at %s. %s of %d times %s ended that wait, after %s on average, and it left",
		detectors.Short(waits.Func), detectors.FrameOf(p.Frame(c.Created)).Where(), waits.Where(), fmt.Sprint(way.Count), way.Count+c.Answered, v.limit(), detectors.Duration(v.patience()))
	if c.Answered > 0 {
		fmt.Fprintf(&b, "; otherwise the answer came within %s three times out of four", detectors.Duration(c.Usual()))
	}
	b.WriteString(".")
	if v.cause == lateSender {
		fmt.Fprintf(&b, " %s of those that were left finished afterwards and stand at %s ever since, the first for %s: the only one who would receive has gone.",
			fmt.Sprint(n), site.Where(), detectors.Duration(v.longestSend()))
		return b.String()
	}
	fmt.Fprintf(&b, " %s went on all the same, for %s on average and up to %s, %s in all", detectors.Count(n, "goroutine"), detectors.Duration(v.work.Mean()), detectors.Duration(v.work.Longest), lost(v.work.Total))
	if v.work.Alive > 0 {
		fmt.Fprintf(&b, "; %d still did when the trace ended", v.work.Alive)
	}
	fmt.Fprintf(&b, ". Meanwhile they were %s, at %s in %s. At any moment %.1f of them were at work for nobody.", v.work.Mostly(), site.Where(), detectors.Short(site.Func),
		v.work.Total.Seconds()/max(time.Duration(p.Now).Seconds(), 1e-9))
	return b.String()
}

func (v *verdict) longestSend() (d time.Duration) {
	for _, r := range v.results {
		d = max(d, r.SendsFor)
	}
	return d
}

func lost(d time.Duration) string {
	if d < 10*time.Second {
		return detectors.Duration(d)
	}
	return fmt.Sprintf("%.0f goroutine-seconds", d.Seconds())
}

// timeline tells the first that was left alone.
func (v *verdict) timeline(p *traceload.Program, site, waits detectors.Frame) []detectors.TimelineEvent {
	r := v.results[0]
	list := []detectors.TimelineEvent{
		{T: r.Since - traceload.Time(r.Waited), Goroutine: int64(r.Caller), Event: "blocked", Text: "waits for the answer at " + waits.Where()},
		{T: r.Since, Goroutine: int64(r.Caller), Event: "expired", Text: fmt.Sprintf("%s ends the wait after %s, and it leaves", v.limit(), detectors.Duration(r.Waited))},
		{T: r.Since, Goroutine: int64(r.ID), Event: "working", Text: "goes on at " + site.Where()},
	}
	switch {
	case r.Sending:
		list[2].Text = "goes on with its work"
		list = append(list, detectors.TimelineEvent{T: r.Until - traceload.Time(r.SendsFor), Goroutine: int64(r.ID), Event: "blocked", Text: "wants to hand over its answer at " + site.Where() + ", and waits ever since"})
	case r.Ended:
		list = append(list, detectors.TimelineEvent{T: r.Until, Goroutine: int64(r.ID), Event: "ended", Text: "ends, " + detectors.Duration(r.Length()) + " later"})
	default:
		list = append(list, detectors.TimelineEvent{T: r.Until, Goroutine: int64(r.ID), Event: "working", Text: "still goes on when the trace ends"})
	}
	return list
}
