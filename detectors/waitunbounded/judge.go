package waitunbounded

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// The judgement adds up weights on the scale of log odds: confidence =
// 1 / (1 + exp(-sum)). Fixtures: the pairs of wait-unbounded; the idle workers,
// accept loops and connections of all others must stay silent.
const (
	prior          = 0.0
	weightVictim   = 1.5  // a goroutine of the program waits along
	weightAsked    = 0.5  // … or somebody outside
	weightFar      = 1.0  // a hundred times what is usual
	weightAgain    = 0.5  // it happened more than once
	weightHistory  = 0.5  // the line has waited a hundred times
	weightDeadline = -2.5 // the source sets a deadline nearby, or in a function on the way there
	weightTesting  = -2.0

	far        = 100 // times what is usual
	reportable = 0.3 // confidence
	nearby     = 30  // lines around the wait in which a connection's deadline may be set
)

// limitTimes is how many times the usual (99 of 100) a deadline may be, for the
// estimate: enough that it never ends what would have come.
const limitTimes = 4

func (o *observer) judge(p *traceload.Program, s *site) {
	var evidence []detectors.Evidence
	sum := prior
	note := func(weight float64, format string, args ...any) {
		evidence = append(evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
		sum += weight
	}
	usual := s.lengths.Quantile(0.9)
	worst, victims := s.long[0], 0
	for _, w := range s.long {
		if w.length() > worst.length() {
			worst = w
		}
		if w.victim.id != traceload.NoGoroutine {
			victims++
		}
	}
	note(0, "%s took %s or more; nine of ten of the %d others at this line took %s or less", detectors.Count(s.nlong, "wait"), detectors.Duration(longest), s.lengths.N(), detectors.Duration(usual))
	if victims > 0 {
		note(weightVictim, "%d of them had a goroutine waiting along that had asked for what was to be done", victims)
	} else {
		note(weightAsked, "the stack shows that somebody waits for an answer")
	}
	if worst.length() >= far*usual {
		note(weightFar, "the longest took %.0f times as long", float64(worst.length())/float64(max(usual, 1)))
	}
	if s.nlong > 1 {
		note(weightAgain, "it happened %d times", s.nlong)
	}
	if s.lengths.N() >= 5*history {
		note(weightHistory, "the line has waited often enough to know what is usual")
	}
	if text := o.deadlineNearby(p, s); text != "" {
		note(weightDeadline, "the source has %q nearby: something may end these waits, only later", text)
	} else if text, fn := o.deadlineOnTheWay(p, s, worst.stack); text != "" {
		note(weightDeadline, "the source has %q in %s, on the way here: something may end these waits, only later", text, detectors.Short(fn))
	}
	if s.testing {
		note(weightTesting, "a test waits: what it waits for may be meant to be late")
	}
	if confidence := 1 / (1 + math.Exp(-sum)); confidence >= reportable {
		o.pass.Report(s.finding(p, &worst, evidence, confidence))
	}
}

func (w *wait) length() time.Duration { return w.end.Sub(w.began) }

// deadlineNearby returns what in the lines around the wait gives a connection a deadline, or
// calls a limit, "" if nothing does or the source is not at hand.
func (o *observer) deadlineNearby(p *traceload.Program, s *site) string {
	src := o.pass.Source()
	if src == nil {
		return ""
	}
	f := p.Frame(s.frame)
	lines, _ := src.Lines(f.File, f.Line, nearby)
	for _, l := range lines {
		for _, call := range []string{"SetDeadline(", "SetReadDeadline(", "SetWriteDeadline(", "Timeout:"} {
			if strings.Contains(l.Text, call) {
				return strings.TrimRight(call, "(:")
			}
		}
	}
	return ""
}

// deadlineOnTheWay returns what gives a context a deadline in a function on a stack of a wait, and
// that function. A context that ends the wait itself, as it does an HTTP client's, may also be that
// of the function around a literal. Otherwise only who waits and its callers can be in league with
// who ends the wait: one that is made elsewhere, be it in the next function, is another one.
func (o *observer) deadlineOnTheWay(p *traceload.Program, s *site, stack traceload.StackID) (text, fn string) {
	src := o.pass.Source()
	if src == nil {
		return "", ""
	}
	for _, f := range append([]traceload.Frame{*p.Frame(s.frame)}, p.Frames(stack)...) {
		if f.Origin != traceload.OriginUser {
			continue
		}
		body, _ := src.Function(f.File, f.Line, s.asks)
		for _, call := range []string{"context.WithTimeout", "context.WithDeadline"} {
			if strings.Contains(body, call) {
				return call, f.Func
			}
		}
	}
	return "", ""
}

// wrongIf says per cause when the finding is no defect.
var wrongIf = map[string]string{
	networkCause: "a deadline is set that had not passed yet, or the caller can wait for as long as it takes",
	channelCause: "the other side always comes in the end, and the caller can wait for as long as it takes",
	lockCause:    "the lock is held that long on purpose, and whoever waits for it can do nothing better",
}

// waitsFor words what is waited for.
var waitsFor = map[string]string{networkCause: "the network", channelCause: "a channel", lockCause: "a lock"}

func (s *site) finding(p *traceload.Program, worst *wait, evidence []detectors.Evidence, confidence float64) detectors.Finding {
	site := detectors.FrameOf(p.Frame(s.frame))
	usual, p99 := s.lengths.Quantile(0.5), s.lengths.Quantile(0.99)
	limit := max(limitTimes*p99, 10*time.Millisecond)
	var lost, saved time.Duration
	sufferers := map[traceload.GoID]bool{}
	for _, w := range s.long {
		who, began := w.victim.id, max(w.began, w.victim.began)
		if who == traceload.NoGoroutine {
			who, began = w.g, w.began
		}
		sufferers[who] = true
		lost += w.end.Sub(began)
		saved += max(0, w.end.Sub(began)-limit)
	}
	f := detectors.Finding{
		Cause: s.cause, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: evidence, Site: site, WrongIf: wrongIf[s.cause],
		Impact: detectors.Impact{Goroutines: len(sufferers), Blocked: lost, Occurrences: s.nlong},
		Title: fmt.Sprintf("%s waits for %s without a deadline: %s where %s is usual", detectors.Short(site.Func), waitsFor[s.cause],
			detectors.Duration(worst.length()), detectors.Duration(usual)),
		Estimate: &detectors.Estimate{Time: saved, Text: fmt.Sprintf("With a deadline of %s, %d times what 99 of 100 waits here took, each of the %s would have ended after that, and an error or another attempt come instead.",
			detectors.Duration(limit), limitTimes, detectors.Count(s.nlong, "long wait"))},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "At %s", site.Where())
	if s.call != "" {
		fmt.Fprintf(&b, ", in %s,", detectors.Short(s.call))
	}
	fmt.Fprintf(&b, " goroutines waited %d times, half of them for %s or less and 99 of 100 for %s or less, and besides %s lasted %s or longer",
		s.lengths.N(), detectors.Duration(usual), detectors.Duration(p99), detectors.Count(s.nlong, "wait"), detectors.Duration(longest))
	if worst.open {
		fmt.Fprintf(&b, "; the longest has lasted %s and is not over when the trace ends", detectors.Duration(worst.length()))
	} else {
		fmt.Fprintf(&b, ", the longest %s", detectors.Duration(worst.length()))
	}
	b.WriteString(". Nothing has ever ended a wait here but what was waited for, so it lasts as long as the other side likes.")
	if w := worst.victim; w.id != traceload.NoGoroutine {
		fmt.Fprintf(&b, " Goroutine %d, which asked for it, waited along at %s.", w.id, detectors.SiteOf(p, w.stack).Where())
	} else if s.serves {
		b.WriteString(" It serves an HTTP request, whose sender waits along.")
	}
	f.Detail = b.String()
	f.Groups = append(f.Groups, group(p, detectors.Waiter, worst.g, worst.reason, worst.stack, worst.entry, worst.created))
	f.Timeline = []detectors.TimelineEvent{{T: worst.began, Goroutine: int64(worst.g), Event: "blocked", Text: "waits at " + site.Where()}}
	if v := worst.victim; v.id != traceload.NoGoroutine {
		f.Groups = append(f.Groups, group(p, detectors.Victim, v.id, v.reason, v.stack, v.entry, v.created))
		f.Timeline = append(f.Timeline, detectors.TimelineEvent{T: v.began, Goroutine: int64(v.id), Event: "blocked", Text: "waits for it at " + detectors.SiteOf(p, v.stack).Where()})
		if v.began < worst.began {
			f.Timeline[0], f.Timeline[1] = f.Timeline[1], f.Timeline[0]
		}
	}
	if worst.open {
		f.Timeline = append(f.Timeline, detectors.TimelineEvent{T: worst.end, Goroutine: int64(worst.g), Event: "waits", Text: "still waits when the trace ends, after " + detectors.Duration(worst.length())})
	} else {
		f.Timeline = append(f.Timeline, detectors.TimelineEvent{T: worst.end, Goroutine: int64(worst.g), Event: "woken", Text: "goes on after " + detectors.Duration(worst.length())})
	}
	if s.call != "" {
		f.Key = []string{s.call}
	}
	return f
}

func group(p *traceload.Program, role detectors.Role, id traceload.GoID, reason traceload.StringID, stack, entry, created traceload.StackID) detectors.Group {
	return detectors.Group{
		Role: role, Count: 1, Goroutines: []int64{int64(id)}, State: traceload.StateWaiting.String(), Reason: p.String(reason),
		Stack: detectors.StackOf(p, stack), CreatedBy: detectors.SiteOf(p, created), Entry: detectors.EntryOf(p, entry),
	}
}
