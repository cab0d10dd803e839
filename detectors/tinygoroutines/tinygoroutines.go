package tinygoroutines

import (
	_ "embed"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// Detector finds goroutines that are not worth their start.
var Detector = &detectors.Detector{
	Name:    "tiny-goroutines",
	Family:  detectors.Batching,
	Doc:     doc,
	Causes:  []detectors.Cause{{Name: "spawn-per-item", Pattern: "chunk-work", Cap: detectors.Medium}},
	Watches: traceload.KindSet(traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock, traceload.KindStop, traceload.KindSyscallBegin, traceload.KindSyscallEnd, traceload.KindEnd),
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, bySite: map[sites]*site{}}
	},
}

// restless is the longest time between two starts of one burst. Starting one
// takes less than a microsecond, and its caller may do a little in between.
const restless = 200 * time.Microsecond

// observer adds up the short lives.
type observer struct {
	pass     *detectors.Pass
	byStacks dense.Pairs[*site] // of creation and entry
	bySite   map[sites]*site
	list     []*site           // in order of appearance
	slots    dense.Slots[life] // by Goroutine.Slot
}

type sites struct{ created, entry traceload.FrameID }

// life is that of a goroutine whose start was seen; site is nil if it is of no interest.
type life struct {
	site    *site
	ran     time.Duration
	waits   bool // now
	waited  bool // for something that it may have been started to wait for
	blocked bool // by a lock, or in a send
}

// site is a go statement and the function that it starts.
type site struct {
	created, entry traceload.StackID // the first seen
	testing        bool

	born, busy      int           // … of which in bursts
	bursts          int           //
	active          time.Duration // length of the bursts
	last            traceload.Time
	first           traceload.Time
	ended           int
	waited, blocked int // of ended
	ran             time.Duration
	work            histogram.Histogram
	ids             [detectors.MaxGroupIDs]traceload.GoID
	creators        int // an upper bound
	creator         traceload.GoID
}

// Observe implements detectors.Observer.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if ev.Kind == traceload.KindCreate {
		o.birth(p, ev)
		return
	}
	l := o.slots.Of(g)
	if l == nil || l.site == nil {
		return
	}
	if ev.From == traceload.StateRunning || ev.From == traceload.StateSyscall {
		l.ran += ev.Lived
	}
	switch ev.Kind {
	case traceload.KindBlock:
		switch {
		case ev.Wait == traceload.WaitRuntime:
		case ev.Wait.IsLock() || ev.Wait == traceload.WaitChanSend:
			l.blocked = true
		default:
			l.waits = true
		}
	case traceload.KindUnblock:
		// Waiting for one's own child is part of a recursion.
		if l.waits && (ev.By == nil || ev.By.Creator != g.ID) {
			l.waited = true
		}
		l.waits = false
	case traceload.KindEnd:
		l.site.end(l)
		*l = life{}
	}
}

func (o *observer) birth(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	l := o.slots.At(g.Slot)
	*l = life{}
	if g.System {
		return
	}
	s := o.byStacks.Find(uint32(ev.ByStack), uint32(ev.Stack))
	if s == nil {
		s = o.byStacks.At(uint32(ev.ByStack), uint32(ev.Stack))
		*s = o.site(p, ev.ByStack, ev.Stack)
	}
	if *s == nil {
		return
	}
	l.site = *s
	(*s).birth(p.Now, g)
}

// site returns the go statement of these stacks, nil if it is not the program's
// own: the standard library starts goroutines by its own rules, and iter.Pull's
// are none that run by themselves.
func (o *observer) site(p *traceload.Program, created, entered traceload.StackID) *site {
	st := p.Stack(created)
	if st.Owner < 0 || st.Owner != st.Site || p.Frame(st.Frames[st.Site]).Origin != traceload.OriginUser {
		return nil
	}
	entry := p.Stack(entered)
	if len(entry.Frames) == 0 {
		return nil
	}
	k := sites{st.Frames[st.Site], entry.Frames[len(entry.Frames)-1]}
	s := o.bySite[k]
	if s == nil {
		s = &site{created: created, entry: entered, testing: st.Testing || testFile(p.Frame(k.created).File)}
		o.bySite[k] = s
		o.list = append(o.list, s)
	}
	return s
}

func (s *site) birth(now traceload.Time, g *traceload.Goroutine) {
	if s.born == 0 {
		s.first = now
	}
	if s.born < len(s.ids) {
		s.ids[s.born] = g.ID
	}
	if pause := now.Sub(s.last); s.born > 0 && pause <= restless {
		s.busy++
		s.active += pause
	} else {
		s.bursts++
	}
	if s.creator != g.Creator {
		s.creator = g.Creator
		s.creators++
	}
	s.born++
	s.last = now
}

func (s *site) end(l *life) {
	s.ended++
	s.ran += l.ran
	s.work.Add(l.ran)
	if l.waited {
		s.waited++
	}
	if l.blocked {
		s.blocked++
	}
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for _, s := range o.list {
		if v := s.judge(p); v != nil {
			o.pass.Report(s.finding(p, v))
		}
	}
}
