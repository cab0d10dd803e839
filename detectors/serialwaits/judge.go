package serialwaits

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/callrow"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// From when on there is something to report, see doc.go.
const (
	sameFrom     = 5                // calls in a unit: a retry makes three, a page of a list seldom fewer than five
	unitsFrom    = 3                // seen whole; one if it is a task or region
	savesFrom    = time.Millisecond // on average and unit
	savesShare   = 0.2              // of the unit's time
	unitAtMost   = 4                // a request takes no more than this part of the trace, on average
	reportableAt = 0.3
)

// Weights on the scale of log odds, see package odds.
const (
	prior             = 0.0
	weightAgain       = 0.6  // several units did the same
	weightMany        = 0.4  // calls: ten and more
	weightPooled      = 0.4  // the client can have several calls under way
	weightNamed       = 0.3  // the program itself says that this is one task
	weightIndependent = 1.0  // the source shows that no call needs another
	weightFeeds       = -4.0 // … that one does
	weightQueue       = -4.0 // … that they are jobs of a queue
	weightOpen        = -1.0 // a loop until something happens, such as the last page
	weightEffect      = -2.0 // a call gives nothing back
)

type verdict struct {
	odds.Sum
	confidence float64
	unproven   string            // what would have to be known; "" if it is
	frame      traceload.FrameID // the line to show
	unknown    bool              // the source is not at hand: what one call gives may decide about the next
}

func (s *stats) worth(now traceload.Time) bool {
	n := time.Duration(max(s.units, 1))
	if s.named == 0 && s.length > n*time.Duration(now)/unitAtMost {
		return false // it goes on and on: a client that makes load, a watcher
	}
	return (s.units >= unitsFrom || s.named > 0) && s.saved >= savesFrom*n && s.saved.Seconds() >= savesShare*s.length.Seconds()
}

func (o *observer) judge(p *traceload.Program) {
	for _, l := range o.again {
		if l.worth(p.Now) {
			if v := o.judgeLoop(p, l); v.confidence >= reportableAt {
				o.pass.Report(l.finding(p, v))
			}
		}
	}
	for _, r := range o.found {
		if r.worth(p.Now) {
			if v := o.judgeRow(p, r); v.confidence >= reportableAt {
				o.pass.Report(r.finding(p, v))
			}
		}
	}
}

func (o *observer) judgeLoop(p *traceload.Program, l *loop) *verdict {
	v := &verdict{frame: l.call.place[l.call.site]}
	v.Note(weightAgain, "%s made %.0f of these calls each, on average", units(p, &l.stats), float64(l.calls)/float64(l.units))
	if l.calls >= 2*sameFrom*l.units {
		v.Note(weightMany, "up to %d in one", l.most)
	}
	if l.named > 0 {
		v.Note(weightNamed, "the program says that it is one task: %q", p.String(l.name))
	}
	if l.call.raw {
		v.unproven = "they go over one connection, in their order: several at a time need several connections, or one request for all"
	} else {
		v.Note(weightPooled, "nothing shows that they have to share a connection")
	}
	o.lookForLoop(p, l, v)
	v.confidence = v.Confidence(prior)
	return v
}

// lookForLoop asks the source which loop makes the calls: the innermost one, from
// the call outward.
func (o *observer) lookForLoop(p *traceload.Program, l *loop, v *verdict) {
	known := false
	for i, id := range l.call.place {
		f, callee := p.Frame(id), ""
		if i > 0 {
			callee = p.Frame(l.call.place[i-1]).Func
		}
		if f.Origin != traceload.OriginUser {
			continue
		}
		row, ok := callrow.Look(o.pass.Source(), f, callee, f.Line)
		if !ok {
			continue
		}
		known = true
		if row.Loop == callrow.LoopNone {
			continue
		}
		v.frame = id
		switch {
		case row.Loop == callrow.LoopQueue:
			v.Note(weightQueue, "the loop at %s takes its jobs from a channel", detectors.FrameOf(f).Where())
		case row.Feeds:
			v.Note(weightFeeds, "at %s, what a call gives decides about the next one", detectors.FrameOf(f).Where())
		case row.Loop == callrow.LoopOpen:
			v.Note(weightOpen, "the loop around %s goes on until something happens", detectors.FrameOf(f).Where())
		default:
			v.Note(weightIndependent, "the source shows a loop over items, and that no call needs what another gave")
		}
		return
	}
	if !known {
		v.unknown = true
	}
}

func (o *observer) judgeRow(p *traceload.Program, r *row) *verdict {
	v := &verdict{frame: r.frame(0)}
	v.Note(weightAgain, "%s made these %d calls one after the other", units(p, &r.stats), r.n)
	raw := false
	lines := make([]int, r.n)
	for i := range r.n {
		lines[i] = p.Frame(r.frame(i)).Line
		raw = raw || r.calls[i].raw
	}
	if raw {
		v.unproven = "they are a conversation on one connection, and may have an order"
	} else {
		v.Note(weightPooled, "nothing shows that they have to share a connection")
	}
	if r.named > 0 {
		v.Note(weightNamed, "the program says that it is one task: %q", p.String(r.name))
	}
	row, ok := callrow.Look(o.pass.Source(), p.Frame(v.frame), "", lines...)
	switch {
	case !ok:
		if v.unproven == "" {
			v.unproven = "whether one needs what another gave is not in a trace, and the source is not at hand"
		}
	case row.Feeds:
		v.Note(weightFeeds, "the source shows that a call needs what one before gave, or is made because of it")
	case !row.Values:
		v.Note(weightEffect, "one of them gives nothing back, and may be there for its effect")
	default:
		v.Note(weightIndependent, "the source shows that none of them uses what another gave")
	}
	v.confidence = v.Confidence(prior)
	return v
}

// frame is the line of the function that makes the i-th call.
func (r *row) frame(i int) traceload.FrameID {
	c := r.calls[i]
	return c.place[len(c.place)-1-r.outer]
}
