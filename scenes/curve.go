package scenes

import (
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// maxPoints is how many points a curve has at most.
const maxPoints = 200

// curves counts, for findings about growth, how many goroutines with the entry
// functions of their groups are alive.
type curves struct {
	step    traceload.Time
	list    []*curve
	byName  map[string][]*curve // by entry function
	byFrame [][]*curve          // by FrameID, as far as it was looked up
	looked  []bool              // by FrameID
	counted [][]*curve          // by slot: the curves that count its goroutine
}

// curve is the number of goroutines over time.
type curve struct {
	finding *detectors.Finding
	now     int
	most    []int // in each part of the trace
	part    int   // the last of them with a count
}

func newCurves(findings []*detectors.Finding, length time.Duration) *curves {
	c := &curves{step: max(1, (traceload.Time(length)+maxPoints-1)/maxPoints), byName: map[string][]*curve{}}
	for _, f := range findings {
		if !grows(f) {
			continue
		}
		v := &curve{finding: f, most: make([]int, maxPoints)}
		c.list = append(c.list, v)
		for _, g := range f.Groups {
			if list := c.byName[g.Entry]; g.Entry != "" && !slices.Contains(list, v) {
				c.byName[g.Entry] = append(list, v)
			}
		}
	}
	return c
}

func (c *curves) observe(p *traceload.Program, ev *traceload.Event) {
	if len(c.byName) == 0 {
		return
	}
	switch g := ev.G; ev.Kind {
	case traceload.KindCreate, traceload.KindStatus:
		counted := slotted(&c.counted, g.Slot)
		if *counted != nil || p.EntryID(g) == 0 {
			return
		}
		*counted = c.of(p, p.EntryID(g))
		for _, v := range *counted {
			v.step(c.part(ev.Time))
			v.now++
			for i := c.part(g.Born); i < v.part; i++ { // it was there before
				v.most[i]++
			}
			v.most[v.part] = max(v.most[v.part], v.now)
		}
	case traceload.KindEnd:
		counted := slotted(&c.counted, g.Slot)
		for _, v := range *counted {
			v.step(c.part(ev.Time))
			v.now--
		}
		*counted = nil
	}
}

// step brings the curve to a part of the trace.
func (v *curve) step(part int) {
	for v.part < part {
		v.part++
		v.most[v.part] = v.now
	}
}

func (c *curves) part(t traceload.Time) int { return min(int(t/c.step), maxPoints-1) }

// of returns the curves that count goroutines with that entry function.
func (c *curves) of(p *traceload.Program, entry traceload.FrameID) []*curve {
	for int(entry) >= len(c.looked) {
		c.looked, c.byFrame = append(c.looked, false), append(c.byFrame, nil)
	}
	if !c.looked[entry] {
		c.looked[entry], c.byFrame[entry] = true, c.byName[p.Frame(entry).Func]
	}
	return c.byFrame[entry]
}

// finish brings all curves to the end of the trace.
func (c *curves) finish(now traceload.Time) {
	for _, v := range c.list {
		v.step(c.part(now))
	}
}

// give hands the curves to the scenes of their findings. Points on a level line
// between two others are left out.
func (c *curves) give() {
	for _, v := range c.list {
		if s := v.finding.Scene; s != nil && slices.Max(v.most) > 0 {
			s.Curve = v.points(c.step)
		}
	}
}

func (v *curve) points(step traceload.Time) []detectors.Point {
	points := []detectors.Point{}
	for i, n := range v.most[:v.part+1] {
		if i > 0 && i < v.part && n == v.most[i-1] && n == v.most[i+1] {
			continue
		}
		points = append(points, detectors.Point{T: traceload.Time(i) * step, N: n})
	}
	return points
}
