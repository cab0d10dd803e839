package timerchurn

import (
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

type lengths = histogram.Histogram

// maker is a line that makes timers, as CPU samples caught it.
type maker struct {
	frame   traceload.FrameID // the user's line
	call    traceload.FrameID // time.After, time.NewTimer, time.Tick
	stack   traceload.StackID
	samples int
}

// makes are the functions of package time that make a timer and a channel.
var makes = map[string]bool{"time.After": true, "time.NewTimer": true, "time.Tick": true}

// sample counts a CPU sample, and whose making of a timer it caught.
func (o *observer) sample(p *traceload.Program, stack traceload.StackID) {
	o.samples++
	m, ok := o.timers[stack]
	if !ok {
		m = o.maker(p, stack)
		o.timers[stack] = m
	}
	if m != nil {
		m.samples++
	}
}

// maker returns the line that makes a timer on this stack; nil if none does.
func (o *observer) maker(p *traceload.Program, stack traceload.StackID) *maker {
	frames := p.Stack(stack).Frames
	call := traceload.FrameID(0)
	for _, f := range frames {
		fr := p.Frame(f)
		if makes[fr.Func] {
			call = f
			continue
		}
		if call == 0 || fr.Origin != traceload.OriginUser {
			continue
		}
		for _, m := range o.makers {
			if m.frame == f {
				return m
			}
		}
		m := &maker{frame: f, call: call, stack: stack}
		o.makers = append(o.makers, m)
		return m
	}
	return nil
}

// confidence grows with the number of samples: a few may be chance.
func (m *maker) confidence() float64 {
	if m.samples < 10 {
		return 0.75
	}
	return 0.9
}

// cost is the processor time that a share of the samples stands for.
func (o *observer) cost(samples int) time.Duration {
	return time.Duration(float64(o.running) * float64(samples) / float64(max(o.samples, 1)))
}
