package traceload

import (
	"cmp"
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

	reference bool // have golang.org/x/exp/trace read it, for tests
}

// WalkWith is Walk within limits.
func WalkWith(in *Input, observe func(*Program, *Event), progress Progress, limits Limits) (*Program, Info, error) {
	info := Info{Source: in.Source}
	if progress == nil {
		progress = func(int64) {}
	}
	s := &generationScanner{r: in, limit: maxGeneration}
	s.readHeader()
	p := newProgram()
	var o outcome
	if ownFormat(s.version) && !limits.reference {
		o = p.walkGenerations(s, observe, progress, limits)
	} else {
		d := newDecoder(s)
		if err := d.open(); err != nil {
			return nil, info, describe(in, s, false, err)
		}
		o = p.walkReader(d, observe, progress)
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
	info.Start = startTime(o.snapshot, p.start)
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
	return p, info, nil
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

func (l Limits) jobs() int {
	if l.Jobs > 0 {
		return l.Jobs
	}
	return runtime.GOMAXPROCS(0)
}

// outcome is what became of reading a trace.
type outcome struct {
	events   int64
	whole    int // generations read to their end
	snapshot *snapshot
	err      error // why reading ended early; nil at the end of the trace
}

// walkReader walks over what golang.org/x/exp/trace reads.
func (p *Program) walkReader(d *decoder, observe func(*Program, *Event), progress Progress) outcome {
	go d.run()
	defer func() { // also when observe panics: the decoder must not be left behind
		close(d.stop)
		for range d.full {
		}
	}()
	for b := range d.full {
		p.t = b.tables
		for i := range b.records {
			if ev := p.apply(&b.records[i]); ev != nil {
				observe(p, ev)
			}
		}
		progress(b.bytes)
		d.free <- b
	}
	return outcome{d.events, d.wholeGenerations(), d.snapshot, d.err}
}

// walkGenerations walks over what we decode ourselves.
func (p *Program) walkGenerations(s *generationScanner, observe func(*Program, *Event), progress Progress, limits Limits) (o outcome) {
	pipe := startPipeline(s, limits.jobs(), cmp.Or(limits.Memory, defaultMemory))
	defer pipe.close() // also when observe panics
	t := newTranslator()
	for d := range pipe.order {
		begun := false
		for batch := range d.out {
			if !begun { // its tables are complete as soon as there are records
				t.begin(d.generation)
				begun = true
			}
			for i := range batch {
				t.record(&batch[i])
				p.t = t.in.tables
				if ev := p.apply(&batch[i]); ev != nil {
					observe(p, ev)
				}
			}
			pipe.done(batch)
			progress(d.end)
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
