package timeoutabandonswork

import (
	"cmp"
	_ "embed"
	"slices"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/giveups"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds work that goes on although its caller's time was up.
var Detector = &detectors.Detector{
	Name:   "timeout-abandons-work",
	Family: detectors.Timeouts,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: lateSender, Pattern: "buffered-result", Cap: detectors.High},
		{Name: stillRunning, Pattern: "timeout-reaches-work", Others: []string{"unblock-on-cancel"}, Cap: detectors.High},
	},
	Yields: []string{"goroutine-leak"}, // which says that late senders are stuck, and then also why
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, giveups: detectors.Need(p, giveups.Fact)}
	},
}

const (
	lateSender   = "late-sender"
	stillRunning = "still-running"
)

type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	giveups *giveups.Table
	_       cpu.CacheLinePad
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	var list []*verdict
	for _, c := range o.giveups.Cases {
		list = append(list, judge(p, c)...)
	}
	list = slices.DeleteFunc(list, func(v *verdict) bool { return v.confidence < reportable })
	slices.SortStableFunc(list, func(a, b *verdict) int {
		return cmp.Compare(b.confidence*b.work.Total.Seconds(), a.confidence*a.work.Total.Seconds())
	})
	type place struct {
		cause string
		site  detectors.Frame
	}
	told := map[place]bool{} // one line to mend is told once, with what shows it best
	for _, v := range list {
		if at := (place{v.cause, v.site(p)}); !told[at] {
			told[at] = true
			o.pass.Report(v.finding(p))
		}
	}
}
