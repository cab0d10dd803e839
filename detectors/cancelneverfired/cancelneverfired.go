package cancelneverfired

import (
	_ "embed"
	"fmt"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/orders"
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
		{Name: "context", Pattern: "defer-cancel", Others: []string{"cancel-in-close"}, Cap: detectors.High},
		{Name: "done-channel", Pattern: "close-done-channel", Cap: detectors.High},
		{Name: "foreign-context", Pattern: "context-afterfunc", Cap: detectors.High,
			Others: []string{"close-rows", "rollback-deferred", "drain-and-close-body"}},
	},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, waits: detectors.Need(p, waits.Fact), orders: detectors.Need(p, orders.Fact)}
	},
}

type observer struct {
	_ cpu.CacheLinePad

	pass   *detectors.Pass
	waits  *waits.Table
	orders *orders.Table
	_      cpu.CacheLinePad
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for _, gr := range o.waits.Groups {
		if len(gr.Stuck) < gatherings && !o.outlivesTest(gr) || gr.Confidence < reportable || gr.Site.Wait == traceload.WaitNilChan {
			continue
		}
		purpose, how := o.waits.Purpose(p, gr, o.pass.Source())
		if c, ok := causes[purpose]; ok {
			o.pass.Report(o.finding(p, gr, c, how))
		}
	}
}

// outlivesTest tells whether the tests that started the group's goroutines have
// all ended: then nobody is left to cancel them.
func (o *observer) outlivesTest(gr *waits.Group) bool {
	for _, g := range gr.Stuck {
		if _, over := o.pass.Tests().Of(g).Ended(); !over {
			return false
		}
	}
	return len(gr.Stuck) > 0
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

// repairs says, by the beginning of the entry function of a goroutine that the
// standard library started, what the user has to do.
var repairs = []struct{ entry, pattern string }{
	{"database/sql.(*Rows).", "close-rows"},
	{"database/sql.(*Tx).", "rollback-deferred"},
	{"database/sql.(*DB).beginDC", "rollback-deferred"}, // the wrapper of its go statement
	{"net/http.(*persistConn).", "drain-and-close-body"},
}

// repair chooses the repair for a group, "" for that of its cause. Where the
// others are cancelled by a function that has not started them, the cancel
// function is kept in a struct.
func (o *observer) repair(p *traceload.Program, gr *waits.Group, c cause) string {
	if c.name == "context" {
		giver, ok := o.orders.Giver(gr.Site.Frame)
		if started := gr.CreationSite(p); ok && started.Func != "" && p.Frame(giver.Site).Func != started.Func {
			return "cancel-in-close"
		}
		return ""
	}
	e := detectors.EntryName(p, gr.Stuck[0])
	for _, r := range repairs {
		if strings.HasPrefix(e, r.entry) {
			return r.pattern
		}
	}
	return ""
}

// whoShould names the line that ends the wait of others there: these have not
// got to it.
func (o *observer) whoShould(p *traceload.Program, gr *waits.Group) string {
	giver, ok := o.orders.Giver(gr.Site.Frame)
	if !ok {
		return ""
	}
	f := detectors.FrameOf(p.Frame(giver.Site))
	return fmt.Sprintf(" %s at that line were ended by %s at %s; on the way of these it was not reached.",
		detectors.Count(giver.N, "other wait"), detectors.Short(f.Func), f.Where())
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
	gather, wait := "gather", "wait"
	if n == 1 {
		gather, wait = "stays", "waits"
	}
	evidence := append([]detectors.Evidence{{Text: how, Weight: 0}}, gr.Evidence...)
	return detectors.Finding{
		Cause:      c.name,
		Repair:     o.repair(p, gr, c),
		Effect:     detectors.EffectGrows,
		Confidence: gr.Confidence,
		Evidence:   evidence,
		Title:      fmt.Sprintf("%s %s in %s, waiting %s", detectors.Count(n, "goroutine"), gather, detectors.Short(site.Func), lacks),
		Detail:     fmt.Sprintf("%s %s %s, at %s. %s", detectors.Count(n, "goroutine"), wait, lacks, site.Where(), gr.Story(p)+o.whoShould(p, gr)),
		Impact:     detectors.Impact{Goroutines: n, Blocked: gr.Blocked, Occurrences: n},
		Site:       site,
		Groups:     detectors.GroupsOf(p, detectors.Leaked, gr.Stuck, maxGroups),
		Timeline:   gr.Timeline(p),
		WrongIf:    c.wrongIf,
		Explains:   gr.Explains(p),
		Key:        gr.Key(p),

		OutlivesTest: o.outlivesTest(gr),
	}
}
