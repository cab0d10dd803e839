package cancelneverfired

import (
	_ "embed"
	"fmt"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waits"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

const (
	reportable = 0.3 // confidence from which a group is reported at all
	maxGroups  = 4   // different stacks that one finding shows
	gatherings = 3   // fewer stuck goroutines than this are somebody's long life, not a gathering
)

// Detector finds cancellations that do not come.
var Detector = &detectors.Detector{
	Name:   "cancel-never-fired",
	Family: detectors.Cancellation,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "context", Pattern: "defer-cancel", Cap: detectors.High},
		{Name: "done-channel", Pattern: "close-done-channel", Cap: detectors.High},
		{Name: "foreign-context", Pattern: "context-afterfunc", Cap: detectors.High},
	},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, waits: detectors.Need(p, waits.Fact)}
	},
}

type observer struct {
	pass  *detectors.Pass
	waits *waits.Table
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for _, gr := range o.waits.Groups {
		if len(gr.Stuck) < gatherings || gr.Confidence < reportable || gr.Site.Wait == traceload.WaitNilChan {
			continue
		}
		purpose, how := o.waits.Purpose(p, gr, o.pass.Source())
		if c, ok := causes[purpose]; ok {
			o.pass.Report(o.finding(p, gr, c, how))
		}
	}
}

type cause struct{ name, lacks, wrongIf string }

var causes = map[waits.Purpose]cause{
	waits.PurposeContext: {"context", "for a context that nobody cancels",
		"whoever holds the cancel functions still calls them, or the goroutines are meant to live as long as the program"},
	waits.PurposeDone: {"done-channel", "for a done channel that nobody closes",
		"whoever owns the channels still closes them, or the goroutines are meant to live as long as the program"},
	waits.PurposeForeign: {"foreign-context", "because %s",
		"the work that these contexts, rows or transactions belong to is still going on"},
}

func (o *observer) finding(p *traceload.Program, gr *waits.Group, c cause, how string) detectors.Finding {
	n := len(gr.Stuck)
	site := detectors.FrameOf(p.Frame(gr.Site.Frame))
	lacks := c.lacks
	if c.name == "foreign-context" {
		lacks = fmt.Sprintf(c.lacks, how)
		if created := gr.CreationSite(p); created != (detectors.Frame{}) {
			site = created
		}
	}
	evidence := append([]detectors.Evidence{{Text: how, Weight: 0}}, gr.Evidence...)
	return detectors.Finding{
		Cause:      c.name,
		Effect:     detectors.EffectGrows,
		Confidence: gr.Confidence,
		Evidence:   evidence,
		Title:      fmt.Sprintf("%s gather in %s, waiting %s", detectors.Count(n, "goroutine"), detectors.Short(site.Func), lacks),
		Detail:     fmt.Sprintf("%s wait %s, at %s. %s", detectors.Count(n, "goroutine"), lacks, site.Where(), gr.Story(p)),
		Impact:     detectors.Impact{Goroutines: n, Blocked: gr.Blocked, Occurrences: n},
		Site:       site,
		Groups:     detectors.GroupsOf(p, detectors.Leaked, gr.Stuck, maxGroups),
		Timeline:   gr.Timeline(p),
		WrongIf:    c.wrongIf,
		Explains:   gr.Explains(p),
		Key:        gr.Key(p),
	}
}
