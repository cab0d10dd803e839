package smallio

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

// Detector finds many short system calls in a row.
var Detector = &detectors.Detector{
	Name:   "small-io",
	Family: detectors.Batching,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "syscall", Pattern: "buffered-io", Others: []string{readRepair}, Cap: detectors.Medium},
		{Name: "network", Pattern: "buffered-io", Others: []string{readRepair}, Cap: detectors.Medium},
	},
	Watches: traceload.KindSet(traceload.KindStatus, traceload.KindBlock, traceload.KindUnblock,
		traceload.KindSyscallBegin, traceload.KindSyscallEnd), // and, since somebody was at a row, KindEnd
	Ends: traceload.WaitSet(traceload.WaitNetwork),
	New: func(p *detectors.Pass) detectors.Observer {
		o := &observer{pass: p, places: map[key]*place{}}
		p.Keep(&o.slots)
		return o
	},
}

const readRepair = "buffered-reads"

const (
	// restless is the longest time between two calls of one row. Making the next
	// bit takes a few microseconds; in 200 µs a 4 kB buffer could be filled and written.
	restless = 200 * time.Microsecond
	// rowFrom is how many calls make a row. A message in a header and a few parts
	// has fewer, and gains little. Fixtures: small-io-*, rows of 150 to 1,400.
	rowFrom = 16
	// callAtMost bounds what one call is reckoned to cost: after 20 µs the runtime's
	// monitor takes the processor away, and the rest is no longer its time.
	callAtMost = 20 * time.Microsecond
)

// observer follows the rows of each goroutine.
type observer struct {
	_ cpu.CacheLinePad

	pass    *detectors.Pass
	places  map[key]*place
	list    []*place // in order of appearance
	byStack []*use   // by StackID; nil: not looked up yet
	slots   traceload.Beside[caller]
	rows    dense.Pool[rows]
	busy    int // goroutines that have rows now
	quiet   int // waits that began since somebody had, for nothing
	online  int // goroutines that wait for the network now
	peak    int // … at most
	_       cpu.CacheLinePad
}

// caller is a goroutine that is alive.
type caller struct {
	rows   uint32 // their place in observer.rows; 0 while it is at none
	online bool   // it waits for the network
}

// rows is what one goroutine is at, by kind. A program may well write to a file and to a
// connection by turns, and could gather both; but what it reads in between may
// be what it writes next.
type rows [numKinds]row

type kind uint8

const (
	fileWrites kind = iota
	netWrites
	reads // from either

	numKinds
)

func (s *place) kind() kind {
	switch {
	case !s.writes:
		return reads
	case s.network:
		return netWrites
	}
	return fileWrites
}

// row is what one goroutine is at: calls of one kind, one after the other. They
// may come from several functions; the row counts for the one that makes most of
// them, which is found by majority vote.
type row struct {
	place  *place // nil: none has begun
	lead   int    // of place in the vote
	n      int
	began  traceload.Time // of the first call
	last   traceload.Time // end of the last call
	spent  time.Duration  // in calls, each bounded
	waits  int            // for room to write
	inCall bool
}

// place is a function that reads or writes, and where to.
type place struct {
	key
	stack traceload.StackID // of its first call
	*use                    // what that stack says

	calls, rows, waits int // in rows
	longest            int // row
	spent, active      time.Duration
	lengths            histogram.Histogram // of calls, in rows or not
	lines              map[traceload.StackID]int
	goroutines         detectors.Roll
	last               traceload.GoID // the last goroutine that began a row here
	first, lastAt      traceload.Time
}

type key struct {
	fn      traceload.FuncID // the user's
	network bool
	writes  bool
}

// Observe implements detectors.Observer. It leaves out what most events are: nobody
// is at a row, and nobody waits for the network.
func (o *observer) Observe(p *traceload.Program, ev *traceload.Event) {
	if ev.Kind == traceload.KindBlock && ev.Wait != traceload.WaitNetwork && o.busy == 0 && o.known(ev.Stack) {
		if o.quiet++; o.quiet > longQuiet {
			o.pass.Overlook(ev)
		}
		return
	}
	o.observe(p, ev)
}

func (o *observer) observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	if g.System {
		return
	}
	switch ev.Kind {
	case traceload.KindStatus:
		o.wait(g)
	case traceload.KindBlock:
		if ev.Wait == traceload.WaitNetwork {
			o.wait(g)
		}
		u := o.use(p, ev.Stack)
		if o.busy > 0 {
			o.block(ev, u)
		}
	case traceload.KindUnblock:
		o.goOn(g)
	case traceload.KindSyscallBegin:
		o.begin(p, ev)
	case traceload.KindSyscallEnd:
		o.end(p, ev)
	case traceload.KindEnd:
		o.closeAll(o.slots.At(g), g)
	}
}

// wait counts g if it waits for the network.
func (o *observer) wait(g *traceload.Goroutine) {
	y := o.slots.At(g)
	if g.State == traceload.StateWaiting && g.Wait == traceload.WaitNetwork && !y.online {
		y.online = true
		o.online++
		o.peak = max(o.peak, o.online)
	}
}

// goOn is the end of such a wait.
func (o *observer) goOn(g *traceload.Goroutine) {
	if y := o.slots.At(g); y.online {
		y.online = false
		o.online--
	}
}

// block ends the rows of a goroutine that waits, unless it waits for room to write.
func (o *observer) block(ev *traceload.Event, u *use) {
	y := o.slots.At(ev.G)
	if y.rows == 0 {
		return
	}
	if u.place != nil && u.place.writes && ev.Wait == traceload.WaitNetwork {
		if r := &o.rows.At(y.rows)[u.place.kind()]; r.place != nil {
			r.waits++ // for room
			return
		}
	}
	o.closeAll(y, ev.G)
}

func (o *observer) begin(p *traceload.Program, ev *traceload.Event) {
	y := o.slots.At(ev.G)
	u := o.use(p, ev.Stack)
	if u.place == nil {
		o.closeAll(y, ev.G)
		return
	}
	if y.rows == 0 {
		y.rows = o.rows.Take()
		o.busy++
		if o.busy == 1 {
			o.wake()
		}
	}
	rows := o.rows.At(y.rows)
	if u.place.writes {
		o.close(&rows[reads], ev.G)
	} else {
		o.close(&rows[fileWrites], ev.G)
		o.close(&rows[netWrites], ev.G)
	}
	r := &rows[u.place.kind()]
	if r.place != nil && (r.place.network != u.place.network || p.Now.Sub(r.last) > restless) {
		o.close(r, ev.G)
	}
	switch {
	case r.place == nil:
		*r = row{place: u.place, lead: 1, began: p.Now}
	case u.place == r.place:
		r.lead++
	case r.lead == 0:
		r.place, r.lead = u.place, 1
	default:
		r.lead--
	}
	r.n++
	r.inCall = true
	if r.n > 1 { // the first may be the only one
		u.place.lines[ev.Stack]++
	}
}

// longQuiet is how many waits must have begun while nobody was at a row before they are
// overlooked: looking again takes longer than looking at one.
const longQuiet = 4096

// wake takes that somebody is at a row, and has all looked at that may end it.
func (o *observer) wake() {
	o.pass.Watch(traceload.KindSet(traceload.KindEnd))
	if o.quiet > longQuiet {
		o.pass.LookAgain()
	}
	o.quiet = 0
}

func (o *observer) end(p *traceload.Program, ev *traceload.Event) {
	u := o.use(p, ev.Stack)
	if u.place == nil {
		return
	}
	u.place.lengths.Add(ev.Lived)
	y := o.slots.At(ev.G)
	if y.rows == 0 {
		return
	}
	if r := &o.rows.At(y.rows)[u.place.kind()]; r.inCall {
		r.inCall = false
		r.spent += min(ev.Lived, callAtMost)
		r.last = p.Now
	}
}

func (o *observer) closeAll(y *caller, g *traceload.Goroutine) {
	if y.rows == 0 {
		return
	}
	rows := o.rows.At(y.rows)
	for i := range rows {
		o.close(&rows[i], g)
	}
	o.rows.Give(y.rows)
	o.busy--
	y.rows = 0
}

// close ends g's row, and counts it if it was one.
func (o *observer) close(r *row, g *traceload.Goroutine) {
	s := r.place
	if s == nil {
		return
	}
	if r.n >= rowFrom {
		if s.rows == 0 {
			s.first = r.began
		}
		if s.last != g.ID {
			s.last = g.ID
			s.goroutines.Note(g.ID)
		}
		s.rows++
		s.calls += r.n
		s.waits += r.waits
		s.longest = max(s.longest, r.n)
		s.spent += r.spent
		s.active += r.last.Sub(r.began)
		s.lastAt = r.last
	}
	*r = row{}
}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for g := range p.Live {
		o.closeAll(o.slots.At(g), g)
	}
	for _, s := range o.list {
		if v := o.judge(p, s); v != nil {
			o.pass.Report(o.finding(p, s, v))
		}
	}
}
