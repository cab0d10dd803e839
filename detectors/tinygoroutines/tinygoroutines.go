package tinygoroutines

import (
	_ "embed"
	"time"

	"golang.org/x/sys/cpu"

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
	Watches: traceload.KindSet(traceload.KindCreate, traceload.KindBlock, traceload.KindUnblock, traceload.KindEnd),
	Begins:  ofWork,
	Ends:    ^(ofWork | traceload.WaitSet(traceload.WaitRuntime)),
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, bySite: map[sites]uint32{}}
		p.Keep(&o.slots)
		return o
	},
}

// restless is the longest time between two starts of one burst. Starting one
// takes less than a microsecond, and its caller may do a little in between.
const restless = 200 * time.Microsecond

// observer adds up the short lives.
type observer struct {
	_ cpu.CacheLinePad

	pass     *detectors.Pass
	byStacks dense.Pairs[uint32] // of creation and entry: number of the site, 0 if it is of no interest
	bySite   map[sites]uint32
	list     []*site // by number minus one, in order of appearance
	slots    traceload.Beside[life]
	_        cpu.CacheLinePad
}

type sites struct{ created, entry traceload.FrameID }

// life is that of a goroutine whose start was seen.
type life struct {
	site    uint32 // its number; 0 if it is of no interest
	waited  bool   // for something that it may have been started to wait for
	blocked bool   // by a lock, or in a send
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
	if ev.Kind == traceload.KindCreate {
		o.birth(p, ev)
		return
	}
	l := o.slots.At(ev.G)
	if l.site == 0 {
		return
	}
	switch ev.Kind {
	case traceload.KindBlock:
		l.blocked = true
	case traceload.KindUnblock:
		// It may have been started to wait for that. Waiting for one's own child is part
		// of a recursion.
		l.waited = l.waited || ev.By == nil || ev.By.Creator != ev.G.ID
	case traceload.KindEnd:
		o.end(l, ev.G.Spent(traceload.StateRunning)+ev.G.Spent(traceload.StateSyscall))
	}
}

// ofWork is the waits that are part of any work: for a lock, or in a send.
const ofWork = traceload.Locks | 1<<traceload.WaitChanSend

func (o *observer) birth(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g.System {
		return
	}
	s := o.byStacks.Find(uint32(ev.ByStack), uint32(ev.Stack))
	if s == nil {
		s = o.byStacks.At(uint32(ev.ByStack), uint32(ev.Stack))
		*s = o.site(p, ev.ByStack, ev.Stack)
	}
	if *s != 0 {
		o.slots.At(g).site = *s
		o.list[*s-1].birth(p.Now, g)
	}
}

// site returns the number of these stacks' go statement, 0 if it is not the program's
// own: the standard library starts goroutines by its own rules, and iter.Pull's
// are none that run by themselves.
func (o *observer) site(p *traceload.Program, created, entered traceload.StackID) uint32 {
	st := p.Stack(created)
	if st.Owner < 0 || st.Owner != st.Site || p.Frame(st.Frames[st.Site]).Origin != traceload.OriginUser {
		return 0
	}
	entry := p.Stack(entered)
	if len(entry.Frames) == 0 {
		return 0
	}
	k := sites{st.Frames[st.Site], entry.Frames[len(entry.Frames)-1]}
	n := o.bySite[k]
	if n == 0 {
		o.list = append(o.list, &site{created: created, entry: entered, testing: st.Testing || testFile(p.Frame(k.created).File)})
		n = uint32(len(o.list))
		o.bySite[k] = n
	}
	return n
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

// end takes the end of a goroutine that is of interest and ran for so long.
func (o *observer) end(l *life, ran time.Duration) {
	s := o.list[l.site-1]
	s.ended++
	s.ran += ran
	s.work.Add(ran)
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
