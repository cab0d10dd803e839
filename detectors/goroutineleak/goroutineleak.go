package goroutineleak

import (
	_ "embed"
	"fmt"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waits"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// reportable is the confidence from which a group is reported at all; what the
// user sees of it is decided by --min-confidence.
const reportable = 0.3

// maxGroups bounds the different stacks that one finding shows.
const maxGroups = 4

// Detector finds goroutines that will never go on.
var Detector = &detectors.Detector{
	Name:   "goroutine-leak",
	Family: detectors.Growth,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "chan-send", Pattern: "buffered-result", Cap: detectors.High},
		{Name: "chan-receive", Pattern: "close-when-done", Cap: detectors.High},
		{Name: "select", Pattern: "select-with-done", Cap: detectors.High},
		{Name: "nil-channel", Pattern: "make-the-channel", Cap: detectors.High},
		{Name: "wait-group", Pattern: "deferred-done", Cap: detectors.High},
		{Name: "cond", Pattern: "cond-wait-loop", Cap: detectors.High},
		{Name: "mutex", Pattern: "unlock-on-every-path", Cap: detectors.Critical},
		{Name: "context", Pattern: "context-with-end", Cap: detectors.High},
	},
	Yields: []string{"deadlock", "lock-held-while-blocked"},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, waits: detectors.Need(p, waits.Fact)}
	},
}

type observer struct {
	_ cpu.CacheLinePad

	pass  *detectors.Pass
	waits *waits.Table
	_     cpu.CacheLinePad
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	unseen := 0
	for _, gr := range o.waits.Groups {
		if gr.Site.Frame == 0 {
			unseen += len(gr.Stuck)
		}
		if gr.Confidence >= reportable { // only then is the source worth reading
			if cause, isLeak := o.cause(p, gr); isLeak {
				o.pass.Report(o.finding(p, gr, cause))
			}
		}
		if gr.Confidence < 0.5 {
			o.leaveInPeace(p, gr)
		}
	}
	o.neverRan(p)
	if unseen > 0 {
		o.pass.CannotJudge(fmt.Sprintf("it holds no stack for %s parked before it began", detectors.Count(unseen, "goroutine")))
	}
}

// cause names what the group waits for; false if it is not for this detector.
func (o *observer) cause(p *traceload.Program, gr *waits.Group) (string, bool) {
	purpose, _ := o.waits.Purpose(p, gr, o.pass.Source())
	switch gr.Site.Wait {
	case traceload.WaitNilChan:
		if purpose == waits.PurposeContext {
			return "context", true
		}
		return "nil-channel", true
	case traceload.WaitEmptySelect:
		return "select", true
	}
	if purpose != waits.PurposeOther {
		return "", false // cancel-never-fired tells it
	}
	switch gr.Site.Wait {
	case traceload.WaitChanSend:
		return "chan-send", true
	case traceload.WaitChanReceive:
		return "chan-receive", true
	case traceload.WaitSelect:
		return "select", true
	case traceload.WaitWaitGroup:
		return "wait-group", true
	case traceload.WaitCond:
		return "cond", true
	case traceload.WaitMutex, traceload.WaitRWMutexW, traceload.WaitRWMutexR:
		return "mutex", true
	}
	return "", false
}

func (o *observer) leaveInPeace(p *traceload.Program, gr *waits.Group) {
	if n := len(gr.Stuck) + gr.Fresh; gr.Site.Frame != 0 {
		o.pass.LeaveInPeace(detectors.FrameOf(p.Frame(gr.Site.Frame)), n, gr.Rest())
	}
}

// longInLine is how long a goroutine must have waited for its first turn on a
// processor to be told; turns are shorter by far unless the machine is starved.
const longInLine = 100 * time.Millisecond

// neverRan tells of goroutines that were created and have not run since. They
// wait for a processor: that is the scheduler's or the machine's doing, no defect of theirs.
func (o *observer) neverRan(p *traceload.Program) {
	type line struct {
		n      int
		oldest time.Duration
	}
	lines := map[traceload.FrameID]line{}
	var order []traceload.FrameID
	for g := range p.Live {
		if g.System || g.Ran || !g.BornKnown || g.State != traceload.StateRunnable || p.Now.Sub(g.Born) < longInLine {
			continue
		}
		site := p.SiteID(g.CreatedAt)
		if site == 0 {
			continue
		}
		l, ok := lines[site]
		if !ok {
			order = append(order, site)
		}
		lines[site] = line{l.n + 1, max(l.oldest, p.Now.Sub(g.Born))}
	}
	for _, site := range order {
		l := lines[site]
		o.pass.LeaveInPeace(detectors.FrameOf(p.Frame(site)), l.n, "created and never run: in line for a processor for "+detectors.Duration(l.oldest))
	}
}

// words per cause: what the goroutines do, and when it would be all right.
var words = map[string]struct{ doing, wrongIf string }{
	"chan-send":    {"are stuck sending on a channel", "somebody is still going to receive from that channel after the trace ended"},
	"chan-receive": {"are stuck receiving from a channel", "somebody is still going to send on that channel, or to close it, after the trace ended"},
	"select":       {"are stuck in a select", "one of the select's cases is still going to happen, and to happen for each of them"},
	"nil-channel":  {"wait on a nil channel", "the goroutines are meant to sleep until the program ends"},
	"wait-group":   {"are stuck waiting for a WaitGroup", "goroutines that the trace does not connect with it still call Done"},
	"cond":         {"are stuck waiting for a Cond", "they are idle workers, and a Signal or Broadcast for each is still to come"},
	"mutex":        {"are stuck waiting for a lock", "the holder is merely slow and unlocks after the trace ended"},
	"context":      {"wait for the end of a context that never ends", "the goroutines are meant to live as long as the program"},
}

func (o *observer) finding(p *traceload.Program, gr *waits.Group, cause string) detectors.Finding {
	w := words[cause]
	if gr.Site.Wait == traceload.WaitEmptySelect {
		w.doing, w.wrongIf = "wait in an empty select", words["nil-channel"].wrongIf
	}
	site := detectors.FrameOf(p.Frame(gr.Site.Frame))
	n := len(gr.Stuck)
	f := detectors.Finding{
		Cause:      cause,
		Effect:     detectors.EffectGrows,
		Confidence: gr.Confidence,
		Evidence:   gr.Evidence,
		Title:      fmt.Sprintf("%s %s in %s", detectors.Count(n, "goroutine"), singular(n, w.doing), detectors.Short(site.Func)),
		Impact:     detectors.Impact{Goroutines: n, Blocked: gr.Blocked, Occurrences: n},
		Site:       site,
		Groups:     detectors.GroupsOf(p, detectors.Leaked, gr.Stuck, maxGroups),
		Explains:   gr.Explains(p),
		Key:        gr.Key(p),
		Timeline:   gr.Timeline(p),
		WrongIf:    w.wrongIf,

		OutlivesTest: gr.OutlivesTest,
	}
	if cause == "mutex" {
		f.Effect = detectors.EffectStops
	}
	if p.Frame(gr.Site.Frame).Origin != traceload.OriginUser { // a goroutine of the standard library, started for the user
		if created := gr.CreationSite(p); created != (detectors.Frame{}) {
			f.Site = created
		}
	}
	f.Detail = fmt.Sprintf("%s at %s. %s", capitalCount(n, singular(n, w.doing)), site.Where(), gr.Story(p))
	return f
}

func capitalCount(n int, doing string) string { return detectors.Count(n, "goroutine") + " " + doing }

// singular turns "are stuck" and "wait" into what one goroutine does.
func singular(n int, doing string) string {
	if n != 1 {
		return doing
	}
	switch {
	case len(doing) > 4 && doing[:4] == "are ":
		return "is " + doing[4:]
	case len(doing) > 5 && doing[:5] == "wait ":
		return "waits " + doing[5:]
	}
	return doing
}
