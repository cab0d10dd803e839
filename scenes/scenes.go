// Package scenes reads traces a second time, when it is known what was found in
// them, and looks up what formats draw: what the goroutines of each finding did
// in the stretch of time that shows the defect, what all goroutines did over
// time, and where they lost it.
//
// A finding's stretch and its cast follow from its timeline, its groups and its
// family alone (stretch.go); no detector is known here by name. What is kept of
// a scene is bounded while it is recorded (track.go), and bounded again when it
// is done (scene.go), so that a report of a hundred findings can be drawn.
package scenes

import (
	"errors"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Draw sets the given parts of the report as far as they are about the trace of
// that index, which open opens for another reading; it is not opened if there is
// nothing to show. opt may be nil.
func Draw(r *detectors.Report, trace int, parts detectors.Parts, open func() (*traceload.Input, error), opt *Options) error {
	t := &r.Traces[trace]
	var shown []*detectors.Finding
	if parts&detectors.Scenes != 0 {
		for i := range r.Findings {
			if r.Findings[i].Trace == trace {
				shown = append(shown, &r.Findings[i])
			}
		}
	}
	if len(shown) == 0 && parts&(detectors.Activities|detectors.Losses) == 0 {
		return nil
	}
	in, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read from
	d := drawing{stage: newStage(shown, t.Duration), curves: newCurves(shown, t.Duration), stays: stays{held: map[traceload.GoID][]stay{}}}
	if parts&detectors.Activities != 0 {
		d.stays.activity = newActivity(t.Duration)
	}
	if parts&detectors.Losses != 0 {
		d.stays.losses = newLosses()
	}
	p, info, err := opt.walk(in, d.observe)
	if err != nil {
		return err
	}
	if info.Duration != t.Duration || info.Events != t.Events {
		return errors.New("it has changed since it was read first")
	}
	d.stage.finish(p)
	d.curves.finish(p.Now)
	d.stays.finish(p)
	d.stage.give(p)
	d.curves.give()
	if a := d.stays.activity; a != nil {
		t.Activity = a.result(p)
	}
	if l := d.stays.losses; l != nil {
		t.Lost = l.result(p)
	}
	return nil
}

// Options says how to read a trace. nil and the zero value will do.
type Options struct {
	Progress traceload.Progress // may be nil
	Limits   traceload.Limits
}

func (o *Options) walk(in *traceload.Input, observe func(*traceload.Program, *traceload.Event)) (*traceload.Program, traceload.Info, error) {
	if o == nil {
		o = &Options{}
	}
	return traceload.WalkWith(in, observe, o.Progress, o.Limits)
}

// drawing hands each event to all that look at it.
type drawing struct {
	stage  *stage
	curves *curves
	stays  stays
}

func (d *drawing) observe(p *traceload.Program, ev *traceload.Event) {
	if ev.Kind > traceload.KindEnd {
		return
	}
	d.stays.observe(p, ev)
	if !system(p, ev.G) {
		d.stage.observe(p, ev)
		d.curves.observe(p, ev)
	}
}

// slotted returns the entry of a table by slot or another small number, which
// grows as needed. The entry moves when it does.
func slotted[T any, I ~int32 | ~uint32](table *[]T, i I) *T {
	for int(i) >= len(*table) {
		var zero T
		*table = append(*table, zero)
	}
	return &(*table)[i]
}
