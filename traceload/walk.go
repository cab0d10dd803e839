package traceload

import (
	"errors"
	"fmt"
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
	info := Info{Source: in.Source}
	d := newDecoder(in)
	if err := d.open(); err != nil {
		return nil, info, describe(in, d, err)
	}
	go d.run()
	defer func() { // also when observe panics: the decoder must not be left behind
		close(d.stop)
		for range d.full {
		}
	}()

	p := newProgram()
	for b := range d.full {
		p.t = b.tables
		for i := range b.records {
			if ev := p.apply(&b.records[i]); ev != nil {
				observe(p, ev)
			}
		}
		if progress != nil {
			progress(b.bytes)
		}
		d.free <- b
	}

	if d.err != nil { // count what follows the break
		d.scanner.drain()
	}
	info.Format = formatName(d.scanner.version)
	info.Bytes = d.scanner.offset
	info.Events = d.events
	info.Goroutines = p.Goroutines
	info.Procs = p.Procs
	info.Duration = time.Duration(p.Now)
	info.Start = startTime(d.snapshot, p.start)
	whole := d.wholeGenerations()
	unread := info.Bytes - d.scanner.start(whole)
	if d.err == nil && unread > 0 { // broken off just between two batches
		d.err = fmt.Errorf("broken off in generation %d after event %d", whole+1, d.events)
	}
	if whole == 0 || !p.any {
		return nil, info, describe(in, d, d.err)
	}
	info.Complete = d.err == nil
	if d.err != nil {
		info.Why, info.Unread = d.err.Error(), unread
	}
	return p, info, nil
}

// describe says in one line why nothing could be read.
func describe(in *Input, d *decoder, err error) error {
	switch {
	case d.scanner.offset == 0 && d.scanner.err == nil:
		return fmt.Errorf("%s: empty: expected a Go execution trace", in.Source)
	case d.scanner.err != nil:
		return fmt.Errorf("%s: %w (%s)", in.Source, ErrNoEvidence, firstLine(d.scanner.err))
	case d.scanner.version == 0 && d.reader == nil:
		return fmt.Errorf("%s: %s, not a Go execution trace; record one with go test -trace or /debug/pprof/trace", in.Source, looksLike(in.head))
	case d.reader == nil:
		return fmt.Errorf("%s: a trace of format %s cannot be read: %s", in.Source, formatName(d.scanner.version), firstLine(err))
	case err == nil:
		return fmt.Errorf("%s: %w: it holds a header and no events", in.Source, ErrNoEvidence)
	}
	return fmt.Errorf("%s: %w (%s)", in.Source, ErrNoEvidence, firstLine(err))
}
