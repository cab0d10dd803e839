package traceload

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/exp/trace"
)

// record is what the decoder makes of one raw event: plain values, no pointers.
type record struct {
	time           int64 // the trace's own clock
	g, by          GoID  // to whom, by whom
	value, parent  int64
	stack, byStack StackID
	text, text2    StringID
	kind           Kind
	from, to       State
}

// batch is a run of records in order, with all that their ids refer to.
type batch struct {
	tables  tables
	records []record
	events  int64 // raw events read so far, also those that no record was made of
	bytes   int64 // bytes of the trace read so far
}

const (
	batchSize       = 4096
	batchesInFlight = 4
)

// decoder reads raw events and hands on batches. It runs on a goroutine of its own.
type decoder struct {
	in      *interner
	scanner *generationScanner
	reader  *trace.Reader

	full chan *batch // to the walk
	free chan *batch // back from it
	stop chan struct{}

	// handles remembers the raw stacks of the present generation. It must not
	// outlive it: a raw Stack keeps its generation's tables alive, and the
	// same number means another stack in the next one.
	handles map[trace.Stack]StackID
	frames  []FrameID

	// What the walk reads after full is closed.
	events      int64
	generations int // begun
	whole       int // read to their end
	snapshot    *trace.ClockSnapshot
	err         error // why reading ended early; nil at the end of the trace
}

func newDecoder(r io.Reader) *decoder {
	d := &decoder{
		in:      newInterner(),
		scanner: &generationScanner{r: r},
		full:    make(chan *batch, batchesInFlight),
		free:    make(chan *batch, batchesInFlight),
		stop:    make(chan struct{}),
		handles: map[trace.Stack]StackID{},
	}
	for range batchesInFlight {
		d.free <- &batch{records: make([]record, 0, batchSize)}
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
	d.reader, err = trace.NewReader(bufio.NewReaderSize(d.scanner, 256<<10))
	return err
}

// run decodes until the end, an error, or stop; then it closes full.
func (d *decoder) run() {
	defer close(d.full)
	var b *batch
	defer func() {
		if p := recover(); p != nil {
			d.err = fmt.Errorf("damaged at event %d: %s", d.events, firstLine(p))
			if b != nil {
				d.send(b)
			}
		}
	}()
	for {
		select {
		case b = <-d.free:
		case <-d.stop:
			return
		}
		b.records = b.records[:0]
		err := d.fill(b)
		next := b
		b = nil
		if !d.send(next) {
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) || d.scanner.err != nil {
				d.err = d.readError(err)
			}
			return
		}
	}
}

func (d *decoder) send(b *batch) bool {
	b.tables = d.in.tables
	b.events = d.events
	b.bytes = d.scanner.offset
	select {
	case d.full <- b:
		return true
	case <-d.stop:
		return false
	}
}

// fill reads raw events until the batch is full. io.EOF is the trace's end.
func (d *decoder) fill(b *batch) error {
	for len(b.records) < batchSize {
		ev, err := d.reader.ReadEvent()
		if err != nil {
			return err
		}
		d.events++
		switch ev.Kind() {
		case trace.EventStateTransition:
			d.transition(b, &ev)
		case trace.EventSync:
			d.events--
			d.sync(&ev)
		default:
			d.other(b, &ev)
		}
	}
	return nil
}

// sync marks the boundary between two generations. The reader gives one at the
// beginning of each and one at the very end, before an error too.
func (d *decoder) sync(ev *trace.Event) {
	d.whole = d.generations
	clear(d.handles)
	s := ev.Sync()
	if d.snapshot == nil && s.ClockSnapshot != nil {
		d.snapshot = s.ClockSnapshot
	}
	d.generations++
}

func (d *decoder) transition(b *batch, ev *trace.Event) {
	st := ev.StateTransition()
	if st.Resource.Kind != trace.ResourceGoroutine {
		return
	}
	from, to := st.Goroutine()
	r := record{
		time: int64(ev.Time()),
		g:    GoID(st.Resource.Goroutine()),
		by:   GoID(ev.Goroutine()),
		from: states[from&7],
		to:   states[to&7],
	}
	switch {
	case r.from == StateUnknown || r.from == r.to:
		r.kind = KindStatus
		r.stack = d.stack(st.Stack)
	case r.from == StateEnded:
		r.kind = KindCreate
		r.stack = d.stack(st.Stack)
		r.byStack = d.stack(ev.Stack())
	case r.to == StateEnded:
		r.kind = KindEnd
	case r.from == StateWaiting:
		r.kind = KindUnblock
		r.byStack = d.stack(ev.Stack())
	case r.to == StateWaiting:
		r.kind = KindBlock
		r.stack = d.stack(st.Stack)
		r.text = d.in.string(st.Reason)
	case r.from == StateSyscall:
		r.kind = KindSyscallEnd
	case r.to == StateSyscall:
		r.kind = KindSyscallBegin
		r.stack = d.stack(st.Stack)
	case r.to == StateRunning:
		r.kind = KindStart
	default:
		r.kind = KindStop
		r.stack = d.stack(st.Stack)
		r.text = d.in.string(st.Reason)
	}
	b.records = append(b.records, r)
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
	r := record{time: int64(ev.Time()), g: GoID(ev.Goroutine()), by: GoID(ev.Goroutine())}
	switch ev.Kind() {
	case trace.EventMetric:
		m := ev.Metric()
		r.kind, r.g = KindMetric, NoGoroutine
		r.text = d.in.string(m.Name)
		if m.Value.Kind() == trace.ValueUint64 {
			r.value = int64(m.Value.Uint64())
		}
	case trace.EventStackSample:
		r.kind = KindSample
		r.stack = d.stack(ev.Stack())
	case trace.EventRangeBegin, trace.EventRangeActive, trace.EventRangeEnd:
		rg := ev.Range()
		r.kind = KindRangeBegin
		if ev.Kind() == trace.EventRangeEnd {
			r.kind = KindRangeEnd
		}
		r.text = d.in.string(rg.Name)
		r.g = NoGoroutine
		if rg.Scope.Kind == trace.ResourceGoroutine {
			r.g = GoID(rg.Scope.Goroutine())
		}
		r.stack = d.stack(ev.Stack())
	case trace.EventTaskBegin, trace.EventTaskEnd:
		t := ev.Task()
		r.kind = KindTaskBegin
		if ev.Kind() == trace.EventTaskEnd {
			r.kind = KindTaskEnd
		}
		r.text, r.value, r.parent = d.in.userText(t.Type), int64(t.ID), int64(t.Parent)
		r.stack = d.stack(ev.Stack())
	case trace.EventRegionBegin, trace.EventRegionEnd:
		rg := ev.Region()
		r.kind = KindRegionBegin
		if ev.Kind() == trace.EventRegionEnd {
			r.kind = KindRegionEnd
		}
		r.text, r.value = d.in.userText(rg.Type), int64(rg.Task)
		r.stack = d.stack(ev.Stack())
	case trace.EventLog:
		l := ev.Log()
		r.kind = KindLog
		r.text, r.text2, r.value = d.in.userText(l.Category), d.in.userText(l.Message), int64(l.Task)
		r.stack = d.stack(ev.Stack())
	default: // labels, experiments, and what comes after Go 1.26
		return
	}
	b.records = append(b.records, r)
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
		d.frames = append(d.frames, d.in.frame(f.Func, f.File, int(f.Line)))
	}
	id := d.in.stack(d.frames)
	d.handles[s] = id
	return id
}

// readError words an error of the reader in one line.
func (d *decoder) readError(err error) error {
	if d.scanner.err != nil {
		err = d.scanner.err
	}
	return fmt.Errorf("broken off in generation %d after event %d: %s", max(d.whole, d.generations), d.events, firstLine(err))
}

// firstLine renders v without what a damaged trace can drag into it: the
// reader's errors hold dumps of many lines.
func firstLine(v any) string {
	s := fmt.Sprint(v)
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.TrimRight(s, ": ")
}

// startTime is the wall clock at the trace's first event; zero where the trace
// carries none.
func startTime(s *trace.ClockSnapshot, first int64) time.Time {
	if s == nil || s.Wall.IsZero() {
		return time.Time{}
	}
	return s.Wall.Add(time.Duration(first - int64(s.Trace))).UTC()
}
