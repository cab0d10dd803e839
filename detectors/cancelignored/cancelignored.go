package cancelignored

import (
	"cmp"
	_ "embed"
	"slices"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/giveups"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/orders"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds goroutines that ignore a cancellation.
var Detector = &detectors.Detector{
	Name:   "cancel-ignored",
	Family: detectors.Cancellation,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "outlives", Pattern: "watch-ctx-in-loop", Others: others, Cap: detectors.High},
		{Name: "slow-to-stop", Pattern: "watch-ctx-in-loop", Others: others, Cap: detectors.High},
	},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, orders: detectors.Need(p, orders.Fact), giveups: detectors.Need(p, giveups.Fact)}
	},
}

// others are the repairs for those who wait where no context is heard.
var others = []string{"select-with-done", "unblock-on-cancel"}

type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	orders  *orders.Table
	giveups *giveups.Table
	_       cpu.CacheLinePad
}

// Observe implements detectors.Observer; the facts have seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	var list []*verdict
	for _, c := range o.orders.Cases {
		list = append(list, judgeOrders(c))
	}
	for _, c := range o.giveups.Cases {
		list = append(list, judgeLeft(c))
	}
	list = slices.DeleteFunc(list, func(v *verdict) bool { return v == nil || v.confidence < reportable })
	slices.SortStableFunc(list, func(a, b *verdict) int { return cmp.Compare(b.weight(), a.weight()) })
	told := map[detectors.Frame]bool{} // one line to mend is told once, with what shows it best
	for _, v := range list {
		if site := v.deaf.Site(p); !told[site] {
			told[site] = true
			o.pass.Report(v.finding(p))
		}
	}
}
