package tinygoroutines

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// From when on there is something to report, see doc.go.
const (
	busyFrom    = 2000
	workAtMost  = time.Microsecond
	waitAtMost  = 0.1   // share of those that ended
	ofTraceFrom = 0.005 // of one processor
	startCosts  = 400 * time.Nanosecond
	// traced is what the tracer itself adds to each goroutine's run, about: an
	// empty one runs for 0.2 to 0.4 µs in a trace.
	traced       = 250 * time.Nanosecond
	chunksEach   = 4 // per processor and burst, afterwards
	reportableAt = 0.3
)

// Weights on the scale of log odds, see package odds.
const (
	prior         = 0.0
	weightTiny    = 1.5 // hardly more than nothing
	weightSmall   = 0.7 // about what a start costs
	weightMany    = 0.5 // five times as many as needed for a judgement
	weightBlocked = 0.5 // they get into each other's way, too
	weightTesting = -4.0
)

type verdict struct {
	odds.Sum
	confidence float64
	work       time.Duration // half of them ran no longer
	lost       time.Duration
}

// judge returns nil where there is nothing to report.
func (s *site) judge(p *traceload.Program) *verdict {
	v := &verdict{work: s.work.Quantile(0.5), lost: time.Duration(s.busy) * startCosts}
	if s.busy < busyFrom || s.ended < s.born/2 || v.work > workAtMost || float64(s.waited) > waitAtMost*float64(s.ended) ||
		v.lost.Seconds() < ofTraceFrom*time.Duration(p.Now).Seconds() {
		return nil
	}
	v.Note(0, "%d goroutines were started here, %d of them within %s of the one before", s.born, s.busy, detectors.Duration(restless))
	if v.work <= workAtMost/2 {
		v.Note(weightTiny, "half of them ran for no more than %s, of which some %s are the tracer's", detectors.Duration(v.work), detectors.Duration(traced))
	} else {
		v.Note(weightSmall, "half of them ran for no more than %s, about what starting one costs", detectors.Duration(v.work))
	}
	if s.busy >= 5*busyFrom {
		v.Note(weightMany, "very many")
	}
	if s.blocked > s.ended/10 {
		v.Note(weightBlocked, "%d of them had to wait for a lock, or to send, besides", s.blocked)
	}
	if s.testing {
		v.Note(weightTesting, "a test or benchmark starts them")
	}
	if v.confidence = v.Confidence(prior); v.confidence < reportableAt {
		return nil
	}
	return v
}

func testFile(file string) bool { return strings.HasSuffix(file, "_test.go") }

func (s *site) finding(p *traceload.Program, v *verdict) detectors.Finding {
	site := detectors.SiteOf(p, s.created)
	procs := max(p.Procs, 1)
	left := s.bursts * chunksEach * procs
	f := detectors.Finding{
		Cause: "spawn-per-item", Effect: detectors.EffectWastes, Confidence: v.confidence, Evidence: v.Evidence, Site: site, Active: s.active,
		Impact:  detectors.Impact{Goroutines: s.born, Blocked: v.lost, Occurrences: s.born},
		WrongIf: "most items are much larger at other times, and the goroutines are there for those",
		Groups: []detectors.Group{{
			Role: detectors.Worker, Count: s.born, State: traceload.StateEnded.String(), CreatedBy: site,
		}, {
			Role: detectors.Creator, Count: s.creators, Goroutines: []int64{int64(s.creator)}, State: traceload.StateRunning.String(), Stack: detectors.StackOf(p, s.created),
		}},
		Estimate: &detectors.Estimate{
			CPU: v.lost, Goroutines: max(0, s.born-left),
			Text: fmt.Sprintf("%s for each start. In chunks, %d to a processor and burst, some %d goroutines would be left.", detectors.Duration(startCosts), chunksEach, min(left, s.born)),
		},
		Timeline: []detectors.TimelineEvent{
			{T: s.first, Goroutine: int64(s.ids[0]), Event: "created", Text: "the first is started at " + site.Where()},
			{T: s.last, Goroutine: int64(s.creator), Event: "created", Text: "starts the last one in the trace"},
		},
	}
	w := &f.Groups[0]
	if frames := p.Frames(s.entry); len(frames) > 0 {
		w.Entry = frames[len(frames)-1].Func
		f.Key = []string{w.Entry}
		w.Stack = []detectors.Frame{detectors.FrameOf(&frames[len(frames)-1])}
	}
	for _, id := range s.ids[:min(s.born, len(s.ids))] {
		w.Goroutines = append(w.Goroutines, int64(id))
	}
	f.Title = fmt.Sprintf("%s starts a goroutine for each item, and each has %s of work", detectors.Short(site.Func), detectors.Duration(v.work))
	f.Detail = fmt.Sprintf("At %s %d goroutines were started, in %s of %.0f on average. Half of them ran for no more than %s, all of them together for %s; "+
		"to start, schedule and end one costs about %s, %s in all. While it went on (%s) that was %.0f%% of one processor.",
		site.Where(), s.born, detectors.Count(s.bursts, "burst"), float64(s.born)/float64(s.bursts), detectors.Duration(v.work), detectors.Duration(s.ran),
		detectors.Duration(startCosts), detectors.Duration(v.lost), detectors.Duration(s.active), 100*v.lost.Seconds()/max(s.active.Seconds(), 1e-9))
	return f
}
