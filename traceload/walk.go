package traceload

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Info says what a trace is and how much of it could be read.
type Info struct {
	Source     string    // file name, "-" or URL, as the user gave it
	Format     string    // version of the format: "go1.26"
	Start      time.Time // wall clock at the first event; zero where the trace carries none (before Go 1.25)
	Duration   time.Duration
	Bytes      int64 // of the unpacked trace
	Events     int64
	Goroutines int64 // seen at any time, without the runtime's own
	Procs      int   // GOMAXPROCS at the end; 0 if unknown

	// Complete is false if the trace breaks off or is damaged. Why says so in
	// one line; Unread counts the bytes from the beginning of the first
	// generation that could not be read whole.
	Complete bool
	Why      string
	Unread   int64
}

// Progress is called now and then during a walk with the bytes of the unpacked
// trace read so far.
type Progress func(bytes int64)

// ErrNoEvidence is returned where not one whole generation could be read, so
// that nothing can be said about the program.
var ErrNoEvidence = errors.New("not one whole generation of the trace could be read")

// Walk reads the trace from in to its end and calls observe for each event, in
// order of time, on the caller's goroutine. It returns the program as of the
// last event. A trace that breaks off after at least one whole generation is no
// error: Info says what was lost. progress may be nil.
//
// A panic of observe passes through to the caller: it is no damage of the trace.
func Walk(in *Input, observe func(*Program, *Event), progress Progress) (*Program, Info, error) {
	return WalkWith(in, observe, progress, Limits{})
}

// Limits bounds what reading a trace takes. The zero value sets no bounds but
// those of the machine.
type Limits struct {
	// Jobs is how many generations are decoded at a time, at most; 0 means as
	// many as there are processors. The events and their order do not depend on it.
	Jobs int
	// Memory is how many bytes of the unpacked trace are held at a time, about; 0
	// means defaultMemory. A single generation is held whole in any case.
	Memory int64

	// Spent is told where the time went; nil if nobody wants to know.
	Spent *Spent

	// For tests:
	reference bool // have golang.org/x/exp/trace read it
	piece     int  // in place of pieceSize; a batch must fit in
	cold      bool // no goroutine is in caches
}

// Spent says where the time of a walk went: how long each stage was at work,
// waiting for others left out. Stages run side by side. Read, Decode and Translate
// are zero where golang.org/x/exp/trace read the trace.
type Spent struct {
	Read      time.Duration   // reading and unpacking, and telling generations apart
	Decode    time.Duration   // summed over the generations, of which some are decoded at a time
	Translate time.Duration   // giving ids that hold throughout the trace
	Lanes     []time.Duration // keeping a Program, and its observer
	Held      int64           // the most bytes of the unpacked trace that were in memory at a time
}

// WalkWith is Walk within limits.
func WalkWith(in *Input, observe func(*Program, *Event), progress Progress, limits Limits) (*Program, Info, error) {
	programs, info, err := WalkLanes(in, []Lane{{Observe: each(observe)}}, progress, limits)
	if err != nil {
		return nil, info, err
	}
	return programs[0], info, nil
}

// Lane is one of several observers of a walk.
type Lane struct {
	Observe func(*Program, *Events)
	Layout  *Layout // what it keeps beside each Goroutine of its Program; nil if nothing
}

// WalkLanes is WalkWith for several observers, of which there must be one at
// least, that share nothing: each is called again and again for all the events, in
// order, on a goroutine and with a Program of its own. The first is called on the
// caller's goroutine, as progress is. It returns the observers' Programs, which
// hold the same.
func WalkLanes(in *Input, observers []Lane, progress Progress, limits Limits) ([]*Program, Info, error) {
	info := Info{Source: in.Source}
	if progress == nil {
		progress = func(int64) {}
	}
	s := &generationScanner{r: in, limit: maxGeneration}
	s.readHeader()
	var programs []*Program
	for _, o := range observers {
		p := newProgram(o.Layout)
		if limits.cold {
			p.inCache = 0
		}
		programs = append(programs, p)
	}
	p := programs[0]
	lanes := newLanes(len(observers))
	spent := limits.Spent
	if spent == nil {
		spent = new(Spent)
	}
	*spent = Spent{Lanes: lanes.spent}
	var o outcome
	if ownFormat(s.version) && !limits.reference {
		lanes.run(programs, observers, progress, func() { o = feedGenerations(s, lanes.send, limits.decoders(len(observers)), limits, spent) })
	} else {
		d := newDecoder(s)
		if err := d.open(); err != nil {
			return nil, info, describe(in, s, false, err)
		}
		lanes.run(programs, observers, progress, func() { o = feedReader(d, lanes.send) })
	}
	if o.err != nil { // count what follows the break
		s.drain()
	}
	info.Format = formatName(s.version)
	info.Bytes = s.offset
	info.Events = o.events
	info.Goroutines = p.Goroutines
	info.Procs = p.Procs
	info.Duration = time.Duration(p.Now)
	info.Start = startTime(o.snapshot, p.begun)
	unread := info.Bytes - s.start(o.whole)
	if o.err == nil && unread > 0 { // broken off just between two batches
		o.err = fmt.Errorf("broken off in generation %d after event %d", o.whole+1, o.events)
	}
	if o.whole == 0 || !p.any {
		return nil, info, describe(in, s, true, o.err)
	}
	info.Complete = o.err == nil
	if o.err != nil {
		info.Why, info.Unread = o.err.Error(), unread
	}
	return programs, info, nil
}

// ownFormat tells whether traces of this version are decoded here. Older ones, and
// those to come, are left to golang.org/x/exp/trace.
func ownFormat(version int) bool {
	switch version {
	case 22, 23, 25, 26: // Go 1.24 writes format 1.23
		return true
	}
	return false
}

// defaultMemory holds some generations of a busy program: they are about a second
// long, and a processor writes some 20 MB in that time.
const defaultMemory = 256 << 20

// Lanes is how many observers it is good to have at a time (WalkLanes).
func (l Limits) Lanes() int { return min(l.jobs(), maxLanes) }

// maxLanes is where more lanes would do more work, since each keeps a Program of
// its own, than they take off the others.
const maxLanes = 4

func (l Limits) jobs() int {
	if l.Jobs > 0 {
		return l.Jobs
	}
	return runtime.GOMAXPROCS(0)
}

// decoders is how many generations to decode at a time beside so many lanes: as many as leave
// each lane a processor but one, which they share, since decoding takes less than what a lane does.
func (l Limits) decoders(lanes int) int { return max(l.jobs()-lanes+1, 1) }

// outcome is what became of reading a trace.
type outcome struct {
	events   int64
	whole    int // generations read to their end
	snapshot *snapshot
	err      error // why reading ended early; nil at the end of the trace
}

// feedReader sends on what golang.org/x/exp/trace reads.
func feedReader(d *decoder, send func(*part) bool) outcome {
	go d.run()
	defer func() { // also when nobody wants any more: the decoder must not be left behind
		close(d.stop)
		for range d.full {
		}
	}()
	for b := range d.full {
		free := func() { d.free <- b } // never blocks: it has room for all there are
		if !send(&part{tables: b.tables, records: &b.records, bytes: b.bytes, release: free}) {
			return outcome{}
		}
	}
	return outcome{d.events, d.wholeGenerations(), d.snapshot, d.err}
}

// feedGenerations sends on what we decode ourselves.
func feedGenerations(s *generationScanner, send func(*part) bool, decoders int, limits Limits, spent *Spent) (o outcome) {
	pipe := startPipeline(s, decoders, limits)
	defer func() {
		pipe.close() // also when nobody wants any more
		spent.Read, spent.Decode, spent.Held = pipe.reading, time.Duration(pipe.decoding.Load()), pipe.memory.most
	}()
	t := newTranslator()
	for d := range pipe.order {
		begun := false
		for batch := range d.out {
			at := time.Now()
			if !begun { // its tables are complete as soon as there are records
				t.begin(d.generation)
				begun = true
			}
			t.batch(batch)
			spent.Translate += time.Since(at)
			batch.part.tables, batch.part.ids, batch.part.bytes = t.in.tables, t.ids, d.end
			if !send(&batch.part) {
				return o
			}
		}
		o.events += d.events
		if o.err = d.failure(o.events); o.err != nil {
			return o
		}
		pipe.finished(d)
		if o.whole++; o.snapshot == nil {
			o.snapshot = d.snapshot
		}
	}
	if pipe.err != nil {
		o.err = brokenOff(o.whole, o.events, pipe.err)
	}
	return o
}

func brokenOff(whole int, events int64, why error) error {
	return fmt.Errorf("broken off in generation %d after event %d: %s", whole+1, events, firstLine(why))
}

// describe says in one line why nothing could be read.
func describe(in *Input, s *generationScanner, opened bool, err error) error {
	switch {
	case s.offset == 0 && s.err == nil:
		return fmt.Errorf("%s: empty: expected a Go execution trace", in.Source)
	case s.err != nil:
		return fmt.Errorf("%s: %w (%s)", in.Source, ErrNoEvidence, firstLine(s.err))
	case s.version == 0 && !opened:
		return fmt.Errorf("%s: %s, not a Go execution trace; record one with go test -trace or /debug/pprof/trace", in.Source, looksLike(in.head))
	case !opened:
		return fmt.Errorf("%s: a trace of format %s cannot be read: %s", in.Source, formatName(s.version), firstLine(err))
	case err == nil:
		return fmt.Errorf("%s: %w: it holds a header and no events", in.Source, ErrNoEvidence)
	}
	return fmt.Errorf("%s: %w (%s)", in.Source, ErrNoEvidence, firstLine(err))
}
