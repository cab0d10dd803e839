package traceload

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/exp/trace"
)

// batch is a run of records in order, with all that their ids refer to.
type batch struct {
	tables  tables
	records records
	bytes   int64 // bytes of the trace read so far
}

// decoder makes records of raw events and hands them on in batches. It runs on
// a goroutine of its own, between the one that reads raw events, which is the
// slowest of the three, and the walk.
type decoder struct {
	in      *interner
	scanner *generationScanner
	reader  *trace.Reader

	raw  chan *rawBatch // from read to run
	done chan *rawBatch // back from it
	full chan *batch    // to the walk
	free chan *batch    // back from it
	stop chan struct{}

	// handles remembers the raw stacks of the present generation. It must not
	// outlive it: a raw Stack keeps its generation's tables alive, and the
	// same number means another stack in the next one.
	handles map[trace.Stack]StackID
	// latest is a shortcut to it, by goroutine and habit: a goroutine mostly
	// waits, and wakes others, where it did so the last time.
	latest [2048]handle
	frames []FrameID
	roster       // here of the whole trace
	last   int64 // time of the latest record

	// What the walk reads after full is closed.
	events      int64
	generations int // begun
	whole       int // read to their end
	snapshot    *snapshot
	err         error // why reading ended early; nil at the end of the trace
}

// handle is a raw stack and its id.
type handle struct {
	raw trace.Stack
	id  StackID
}

// rawBatch is a run of raw events in order.
type rawBatch struct {
	events []trace.Event
	bytes  int64 // bytes of the trace read so far
	err    error // why this is the last batch; io.EOF at the trace's end
}

// newDecoder returns a decoder of what s, whose header was read, passes on.
func newDecoder(s *generationScanner) *decoder {
	d := &decoder{
		in:      newInterner(),
		scanner: s,
		raw:     make(chan *rawBatch, batchesInFlight),
		done:    make(chan *rawBatch, batchesInFlight),
		full:    make(chan *batch, batchesInFlight),
		free:    make(chan *batch, batchesInFlight),
		stop:    make(chan struct{}),
		handles: map[trace.Stack]StackID{},
	}
	for range batchesInFlight {
		d.done <- new(rawBatch)
		d.free <- new(batch)
	}
	return d
}

// open reads the header. Its error says what the input is not.
func (d *decoder) open() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: %s", firstLine(p))
		}
	}()
	header := d.scanner.header[:min(d.scanner.offset, headerSize)]
	d.reader, err = trace.NewReader(bufio.NewReaderSize(io.MultiReader(bytes.NewReader(header), d.scanner), 256<<10))
	return err
}

// read reads raw events until the end, an error, or quit; then it closes raw.
func (d *decoder) read(quit <-chan struct{}) {
	defer close(d.raw)
	for {
		var b *rawBatch
		select {
		case b = <-d.done:
		case <-quit:
			return
		}
		d.fill(b)
		b.bytes = d.scanner.offset
		last := b.err != nil
		d.raw <- b // never blocks: it has room for all there are
		if last {
			return
		}
	}
}

// fill reads raw events until the batch is full or there are no more.
func (d *decoder) fill(b *rawBatch) {
	events, n := slices.Grow(b.events[:0], batchSize)[:batchSize], 0
	defer func() {
		b.events = events[:n]
		if p := recover(); p != nil {
			b.err = &damage{p}
		}
	}()
	for n < batchSize {
		var err error
		if events[n], err = d.reader.ReadEvent(); err != nil {
			b.err = err
			return
		}
		n++
	}
}

// run decodes until the end, an error, or stop; then it closes full.
func (d *decoder) run() {
	defer close(d.full)
	quit := make(chan struct{})
	go d.read(quit)
	defer func() { // the reader must not be left behind
		close(quit)
		for range d.raw {
		}
	}()
	for raw := range d.raw {
		var b *batch
		select {
		case b = <-d.free:
		case <-d.stop:
			return
		}
		d.err = d.decode(b, raw)
		b.tables, b.bytes = d.in.tables, raw.bytes
		select {
		case d.full <- b:
		case <-d.stop:
			return
		}
		if d.err != nil {
			return
		}
		d.done <- raw // never blocks: it has room for all there are
	}
}

// decode makes records of a raw batch. The error says in one line why there can
// be no more; it is nil at the end of the trace.
func (d *decoder) decode(b *batch, raw *rawBatch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = d.readError(&damage{p})
		}
	}()
	b.records.reset()
	b.records.list = slices.Grow(b.records.list, len(raw.events))
	for i := range raw.events {
		ev := &raw.events[i]
		switch kind := ev.Kind(); kind {
		case trace.EventStateTransition:
			d.events++
			d.transition(b, ev)
		case trace.EventSync:
			d.sync(ev)
		default:
			d.events++
			d.other(b, ev)
		}
	}
	// The reader's own io.EOF is bare; an error that wraps one is a batch that breaks off.
	if raw.err == nil || raw.err == io.EOF && d.scanner.err == nil {
		return nil
	}
	return d.readError(raw.err)
}

// damage is a panic of golang.org/x/exp/trace.
type damage struct{ value any }

func (e *damage) Error() string { return fmt.Sprint(e.value) }

// sync marks the boundary between two generations. The reader gives one at the
// beginning of each and one at the very end, before an error too.
func (d *decoder) sync(ev *trace.Event) {
	d.whole = d.generations
	clear(d.handles)
	d.latest = [len(d.latest)]handle{}
	s := ev.Sync()
	if d.snapshot == nil && s.ClockSnapshot != nil {
		d.snapshot = &snapshot{int64(s.ClockSnapshot.Trace), s.ClockSnapshot.Wall}
	}
	d.generations++
}

// time is when an event was, never earlier than the one before, nor than 0.
func (d *decoder) time(ev *trace.Event) int64 {
	d.last = max(d.last, int64(ev.Time()))
	return d.last
}

func (d *decoder) transition(b *batch, ev *trace.Event) {
	st := ev.StateTransition()
	if st.Resource.Kind != trace.ResourceGoroutine {
		return
	}
	from, to := st.Goroutine()
	id, by := GoID(st.Resource.Goroutine()), NoGoroutine
	r, x := record{time: d.time(ev)}, extra{id: id}
	kind, before, after := KindStop, states[from&7], states[to&7]
	switch {
	case before == StateUnknown || before == after:
		kind = KindStatus
		r.stack = d.stack(st.Stack)
	case before == StateEnded:
		kind = KindCreate
		by = GoID(ev.Goroutine())
		r.stack, x.byStack = d.stackOf(by, started, st.Stack), d.stackOf(by, starting, ev.Stack())
	case after == StateEnded:
		kind = KindEnd
	case before == StateWaiting:
		kind = KindUnblock
		by = GoID(ev.Goroutine())
		r.stack = d.stackOf(by, waking, ev.Stack())
	case after == StateWaiting:
		kind = KindBlock
		r.stack = d.stackOf(id, waiting, st.Stack)
		r.text = d.in.string(st.Reason)
	case before == StateSyscall:
		kind = KindSyscallEnd
	case after == StateSyscall:
		kind = KindSyscallBegin
		r.stack = d.stack(st.Stack)
	case after == StateRunning:
		kind = KindStart
	default:
		r.stack = d.stack(st.Stack)
		r.text = d.in.string(st.Reason)
	}
	g, fresh := d.add(id)
	r.what = changeOf(kind, before, after)
	if r.g = g.n; kind == KindCreate || kind == KindUnblock {
		r.text = textOf(d.number(by))
	}
	if kind == KindEnd {
		d.drop(g)
	}
	if fresh || kind == KindCreate {
		x.value = int64(by)
		b.records.add(r, x)
	} else {
		b.records.list = append(b.records.list, r)
	}
}

// states maps x/exp/trace's goroutine states; a state of tomorrow is unknown.
var states = [8]State{
	trace.GoUndetermined: StateUnknown,
	trace.GoNotExist:     StateEnded,
	trace.GoRunnable:     StateRunnable,
	trace.GoRunning:      StateRunning,
	trace.GoWaiting:      StateWaiting,
	trace.GoSyscall:      StateSyscall,
}

// other handles the events that are no state transitions: all of them rare.
func (d *decoder) other(b *batch, ev *trace.Event) {
	kind, r, x := KindMetric, record{time: d.time(ev), g: nobody}, extra{id: GoID(ev.Goroutine())}
	switch ev.Kind() {
	case trace.EventMetric:
		m := ev.Metric()
		x.id = NoGoroutine
		r.text = d.in.string(m.Name)
		if m.Value.Kind() == trace.ValueUint64 {
			x.value = int64(m.Value.Uint64())
		}
	case trace.EventStackSample:
		kind = KindSample
		r.stack = d.stack(ev.Stack())
	case trace.EventRangeBegin, trace.EventRangeActive, trace.EventRangeEnd:
		rg := ev.Range()
		kind = KindRangeBegin
		if ev.Kind() == trace.EventRangeEnd {
			kind = KindRangeEnd
		}
		r.text = d.in.string(rg.Name)
		x.id = NoGoroutine
		if rg.Scope.Kind == trace.ResourceGoroutine {
			x.id = GoID(rg.Scope.Goroutine())
		}
		r.stack = d.stack(ev.Stack())
	case trace.EventTaskBegin, trace.EventTaskEnd:
		t := ev.Task()
		kind = KindTaskBegin
		if ev.Kind() == trace.EventTaskEnd {
			kind = KindTaskEnd
		}
		r.text, x.value, x.parent = d.in.userText(t.Type), int64(t.ID), int64(t.Parent)
		r.stack = d.stack(ev.Stack())
	case trace.EventRegionBegin, trace.EventRegionEnd:
		rg := ev.Region()
		kind = KindRegionBegin
		if ev.Kind() == trace.EventRegionEnd {
			kind = KindRegionEnd
		}
		r.text, x.value = d.in.userText(rg.Type), int64(rg.Task)
		r.stack = d.stack(ev.Stack())
	case trace.EventLog:
		l := ev.Log()
		kind = KindLog
		r.text, x.text2, x.value = d.in.userText(l.Category), d.in.userText(l.Message), int64(l.Task)
		r.stack = d.stack(ev.Stack())
	default: // labels, experiments, and what comes after Go 1.26
		return
	}
	r.what = changeOf(kind, 0, 0)
	b.records.add(r, x)
}

// What goroutines do all the time, and where.
type habit uint64

const (
	waiting habit = iota
	waking
	starting // a goroutine
	started  // the entry of that goroutine
	habits
)

// stackOf is stack for a habit of goroutine g.
func (d *decoder) stackOf(g GoID, h habit, s trace.Stack) StackID {
	latest := &d.latest[(uint64(g)*uint64(habits)+uint64(h))%uint64(len(d.latest))]
	if latest.raw != s {
		*latest = handle{s, d.stack(s)}
	}
	return latest.id
}

// stack interns a raw stack.
func (d *decoder) stack(s trace.Stack) StackID {
	if s == trace.NoStack {
		return 0
	}
	if id, ok := d.handles[s]; ok {
		return id
	}
	d.frames = d.frames[:0]
	for f := range s.Frames() {
		d.frames = append(d.frames, d.in.frame(d.in.string(f.Func), d.in.string(f.File), int(f.Line)))
	}
	id := d.in.stack(d.frames)
	d.handles[s] = id
	return id
}

// readError words in one line why the trace cannot be read on.
func (d *decoder) readError(err error) error {
	var broken *damage
	switch {
	case errors.As(err, &broken):
		return fmt.Errorf("damaged at event %d: %s", d.events, firstLine(err))
	case d.scanner.err != nil: // which the reader may have mistaken for the trace's end
		err = d.scanner.err
	case d.scanner.gap != nil:
		err = d.scanner.gap
	}
	return brokenOff(d.wholeGenerations(), d.events, err)
}

// wholeGenerations returns how many generations were read to their end. Before
// Go 1.26 the reader takes one that breaks off for whole.
func (d *decoder) wholeGenerations() int {
	if d.scanner.version < 22 {
		return d.whole // the whole trace is one
	}
	return min(d.whole, d.scanner.whole())
}

// firstLine renders v without what a damaged trace can drag into it: the
// reader's errors hold dumps of many lines, and strings of the trace.
func firstLine(v any) string {
	s := printable(fmt.Sprint(v))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return strings.TrimRight(s, ": ")
}

// startTime is the wall clock at the trace's first event; zero where the trace
// carries none.
func startTime(s *snapshot, first int64) time.Time {
	if s == nil || s.wall.IsZero() {
		return time.Time{}
	}
	return s.wall.Add(time.Duration(first - s.trace)).UTC()
}
