package traceload

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The types of events, from internal/trace/tracev2/events.go (Go 1.22 to 1.26).
// Numbers once given keep their meaning.
const (
	evStacks              = 2
	evStack               = 3
	evStrings             = tagStrings
	evString              = 5
	evCPUSamples          = 6
	evCPUSample           = 7
	evFrequency           = 8
	evProcsChange         = 9
	evProcStart           = 10
	evProcStop            = 11
	evProcSteal           = 12
	evProcStatus          = 13
	evGoCreate            = 14
	evGoCreateSyscall     = 15
	evGoStart             = 16
	evGoDestroy           = 17
	evGoDestroySyscall    = 18
	evGoStop              = 19
	evGoBlock             = 20
	evGoUnblock           = 21
	evGoSyscallBegin      = 22
	evGoSyscallEnd        = 23
	evGoSyscallEndBlocked = 24
	evGoStatus            = 25
	evSTWBegin            = 26
	evSTWEnd              = 27
	evGCActive            = 28
	evGCBegin             = 29
	evGCEnd               = 30
	evGCSweepActive       = 31
	evGCSweepBegin        = 32
	evGCSweepEnd          = 33
	evGCMarkAssistActive  = 34
	evGCMarkAssistBegin   = 35
	evGCMarkAssistEnd     = 36
	evHeapAlloc           = 37
	evHeapGoal            = 38
	evGoLabel             = 39
	evUserTaskBegin       = 40
	evUserTaskEnd         = 41
	evUserRegionBegin     = 42
	evUserRegionEnd       = 43
	evUserLog             = 44
	evGoSwitch            = 45
	evGoSwitchDestroy     = 46
	evGoCreateBlocked     = 47
	evGoStatusStack       = 48
	evSync                = 50
	evClockSnapshot       = 51
	evFirstExperimental   = 128
	evLastExperimental    = 136
)

// arguments is how many numbers an event of each type has, its time among them;
// 0 where there is no such event.
var arguments = [256]uint8{
	evProcsChange: 3, evProcStart: 3, evProcStop: 1, evProcSteal: 4, evProcStatus: 3,
	evGoCreate: 4, evGoCreateSyscall: 2, evGoStart: 3, evGoDestroy: 1, evGoDestroySyscall: 1, evGoStop: 3, evGoBlock: 3,
	evGoUnblock: 4, evGoSyscallBegin: 3, evGoSyscallEnd: 1, evGoSyscallEndBlocked: 1, evGoStatus: 4,
	evSTWBegin: 3, evSTWEnd: 1, evGCActive: 2, evGCBegin: 3, evGCEnd: 2, evGCSweepActive: 2, evGCSweepBegin: 2, evGCSweepEnd: 3,
	evGCMarkAssistActive: 2, evGCMarkAssistBegin: 2, evGCMarkAssistEnd: 1, evHeapAlloc: 2, evHeapGoal: 2,
	evGoLabel: 2, evUserTaskBegin: 5, evUserTaskEnd: 3, evUserRegionBegin: 4, evUserRegionEnd: 4, evUserLog: 5,
	evGoSwitch: 3, evGoSwitchDestroy: 3, evGoCreateBlocked: 4, evGoStatusStack: 5,
	128: 4, 129: 4, 130: 2, 131: 3, 132: 3, 133: 2, 134: 3, 135: 3, 136: 2,
}

// Limits of the format, from internal/trace/tracev2/spec.go.
const (
	maxBatchSize   = 64 << 10
	maxStackFrames = 128
	maxStringSize  = 1 << 10
)

// maxTableID bounds the numbers of strings and stacks; the runtime counts them
// from 1 in each generation.
const maxTableID = 1 << 24

// generation is one generation of a trace of Go 1.22 or later, with all that its
// events refer to. It stands on its own: neither what came before nor what
// follows is needed to decode it.
type generation struct {
	index   int    // from 0
	number  uint64 // as the runtime counts
	version int
	pieces  [][]byte // its batches and the end mark, in order; no batch is in two
	mapped  bool     // they may be gone when they are read: see mapping
	end     int64    // offset in the trace of what follows

	threads  []thread
	freq     float64 // nanoseconds per unit of time
	snapshot *snapshot
	minTime  uint64   // of its batches
	tables   [][]byte // its batches of strings and stacks
	strings  []extent // by local id
	stacks   []extent // by local id; begins with the number of frames
	samples  []sample

	until    int    // how many batches of events are still to be begun until a quarter of them is decoded
	underway func() // called then, once
}

// thread is the batches of one thread of the operating system.
type thread struct {
	id      uint64
	batches []eventBatch
}

type eventBatch struct {
	time uint64
	data []byte
}

// extent is a part of one of a generation's tables; none begins at 0.
type extent struct{ table, from, to uint32 }

// snapshot is a reading of the trace's clock and the wall's at one time.
type snapshot struct {
	trace int64 // in nanoseconds
	wall  time.Time
}

type sample struct {
	time  int64
	g     GoID
	stack uint32
}

var errCut = errors.New("a number is cut off")

// numbers reads a batch's numbers. What is cut off reads as 0 and sets bad, so
// that it need be asked for only now and then.
type numbers struct {
	data []byte
	at   int
	bad  bool
}

func (n *numbers) more() bool { return !n.bad && n.at < len(n.data) }

func (n *numbers) uvarint() uint64 {
	if n.at < len(n.data) {
		if b := n.data[n.at]; b < 0x80 {
			n.at++
			return uint64(b)
		}
	}
	v, size := binary.Uvarint(n.data[n.at:])
	if size <= 0 {
		n.bad = true
		n.at = len(n.data)
		return 0
	}
	n.at += size
	return v
}

func (n *numbers) byte() byte {
	if n.at >= len(n.data) {
		n.bad = true
		return 0
	}
	n.at++
	return n.data[n.at-1]
}

// peek returns the next number and leaves it there.
func peek(n numbers) uint64 { return n.uvarint() }

// size returns the length of g in bytes.
func (g *generation) size() (n int64) {
	for _, p := range g.pieces {
		n += int64(len(p))
	}
	return n
}

// parse finds the batches of g and reads its tables.
func (g *generation) parse() error {
	byThread := map[uint64]int{} // in threads
	for i := range g.pieces {
		if err := g.parsePiece(g.pieces[i], byThread); err != nil {
			return err
		}
	}
	switch {
	case g.freq == 0:
		return errors.New("the frequency of the clock is missing")
	case g.version >= 25 && g.snapshot == nil:
		return errors.New("the snapshot of the clocks is missing")
	}
	if g.snapshot != nil {
		g.snapshot.trace = g.nanoseconds(uint64(g.snapshot.trace))
	}
	for i := range g.samples {
		g.samples[i].time = g.nanoseconds(uint64(g.samples[i].time))
	}
	batches := 0
	for i := range g.threads {
		batches += len(g.threads[i].batches)
	}
	g.until = len(g.threads) + (batches-len(g.threads)+3)/4 // the first of each thread is begun at once
	slices.SortFunc(g.samples, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
	return nil
}

func (g *generation) parsePiece(piece []byte, byThread map[uint64]int) error {
	in := numbers{data: piece}
	for in.more() {
		tag := in.byte()
		if tag == tagEndOfGeneration {
			continue
		}
		experiment := byte(0)
		if tag == tagExperimentalBatch {
			experiment = in.byte()
		} else if tag != tagEventBatch {
			return fmt.Errorf("expected a batch, found an event of type %d", tag)
		}
		if g.number == 0 {
			g.number = peek(in)
		}
		number, onThread, at, size := in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint()
		switch {
		case !in.bad && size > maxBatchSize:
			return fmt.Errorf("a batch of %d bytes, more than %d", size, maxBatchSize)
		case in.bad || size > uint64(len(in.data)-in.at):
			return errors.New("a batch is cut off")
		case number != g.number:
			return fmt.Errorf("a batch of generation %d within generation %d", number, g.number)
		}
		from := in.at
		in.at += int(size)
		if experiment != 0 || tag == tagExperimentalBatch {
			if experiment > 1 {
				return fmt.Errorf("a batch of an unknown experiment, %d", experiment)
			}
			continue
		}
		if g.minTime == 0 || at < g.minTime {
			g.minTime = at
		}
		if size == 0 {
			continue
		}
		var err error
		switch kind := in.data[from]; {
		case kind == evStrings:
			err = g.readStrings(g.table(in.data[from:in.at]))
		case kind == evStacks:
			err = g.readStacks(g.table(in.data[from:in.at]))
		case kind == evCPUSamples:
			err = g.readSamples(in.data[from+1 : in.at])
		case kind == evFrequency && g.version < 25:
			err = g.readSync(at, in.data[from:in.at])
		case kind == evSync && g.version >= 25:
			err = g.readSync(at, in.data[from+1:in.at])
		default:
			i, ok := byThread[onThread]
			if !ok {
				i = len(g.threads)
				byThread[onThread] = i
				g.threads = append(g.threads, thread{id: onThread})
			}
			g.threads[i].batches = append(g.threads[i].batches, eventBatch{at, in.data[from:in.at]})
		}
		if err != nil {
			return err
		}
	}
	if in.bad {
		return errors.New("a batch is cut off")
	}
	return nil
}

// nanoseconds converts the trace's unit of time.
func (g *generation) nanoseconds(t uint64) int64 { return int64(float64(t) * g.freq) }

// table keeps a batch of strings or stacks, and returns its number.
func (g *generation) table(batch []byte) uint32 {
	if g.mapped {
		batch = bytes.Clone(batch)
	}
	g.tables = append(g.tables, batch)
	return uint32(len(g.tables) - 1)
}

func (g *generation) readStrings(table uint32) error {
	in := numbers{data: g.tables[table], at: 1}
	for in.more() {
		if tag := in.byte(); tag != evString {
			return fmt.Errorf("expected a string, found an event of type %d", tag)
		}
		id, size := in.uvarint(), in.uvarint()
		if in.bad || size > maxStringSize || size > uint64(len(in.data)-in.at) {
			return errors.New("a string is cut off or too long")
		}
		if err := put(&g.strings, id, extent{table, uint32(in.at), uint32(in.at + int(size))}, "string"); err != nil {
			return err
		}
		in.at += int(size)
	}
	if in.bad {
		return errCut
	}
	return nil
}

func (g *generation) readStacks(table uint32) error {
	in := numbers{data: g.tables[table], at: 1}
	for in.more() {
		if tag := in.byte(); tag != evStack {
			return fmt.Errorf("expected a stack, found an event of type %d", tag)
		}
		id, begin := in.uvarint(), in.at
		frames := in.uvarint()
		if frames > maxStackFrames {
			return fmt.Errorf("a stack of %d frames, more than %d", frames, maxStackFrames)
		}
		for range 4 * frames { // program counter, function, file, line
			in.uvarint()
		}
		if in.bad {
			return errCut
		}
		if err := put(&g.stacks, id, extent{table, uint32(begin), uint32(in.at)}, "stack"); err != nil {
			return err
		}
	}
	if in.bad {
		return errCut
	}
	return nil
}

// put enters a part of the data into a table.
func put(table *[]extent, id uint64, e extent, what string) error {
	if id >= maxTableID {
		return fmt.Errorf("%s number %d, more than there can be", what, id)
	}
	for uint64(len(*table)) <= id {
		*table = append(*table, extent{})
	}
	if (*table)[id].from != 0 {
		return fmt.Errorf("two %ss of number %d", what, id)
	}
	(*table)[id] = e
	return nil
}

func (g *generation) readSamples(data []byte) error {
	in := numbers{data: data}
	for in.more() {
		if tag := in.byte(); tag != evCPUSample {
			return fmt.Errorf("expected a CPU sample, found an event of type %d", tag)
		}
		at, _, _, who, stack := in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint()
		if in.bad {
			return errCut
		}
		s := sample{time: int64(at), g: GoID(who), stack: uint32(stack)}
		if who == 0 {
			s.g = NoGoroutine
		}
		if stack > maxTableID {
			return fmt.Errorf("stack number %d, more than there can be", stack)
		}
		g.samples = append(g.samples, s)
	}
	if in.bad {
		return errCut
	}
	return nil
}

func (g *generation) readSync(at uint64, data []byte) error {
	in := numbers{data: data}
	for in.more() {
		switch tag := in.byte(); {
		case tag == evFrequency:
			perSecond := in.uvarint()
			if g.freq != 0 {
				return errors.New("the frequency of the clock is there twice")
			}
			g.freq = 1.0 / (float64(perSecond) / 1e9)
		case tag == evClockSnapshot && g.version >= 25:
			at += in.uvarint()
			_, sec, nsec := in.uvarint(), in.uvarint(), in.uvarint()
			if g.snapshot != nil {
				return errors.New("the snapshot of the clocks is there twice")
			}
			g.snapshot = &snapshot{trace: int64(at), wall: time.Unix(int64(sec), int64(nsec))}
		default:
			return fmt.Errorf("expected a reading of the clocks, found an event of type %d", tag)
		}
	}
	if in.bad {
		return errCut
	}
	return nil
}
