package traceload

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// seen is a copy of an event, with texts in place of ids.
type seen struct {
	kind                Kind
	g, by               GoID
	from, to            State
	fromKnown           bool
	reason, text, text2 string
	value               int64
	parent              int64
	wait                Wait
	waker               Waker
	stack, byStack      StackID
}

func see(p *Program, ev *Event) seen {
	id := func(g *Goroutine) GoID {
		if g == nil {
			return NoGoroutine
		}
		return g.ID
	}
	return seen{
		kind: ev.Kind, g: id(ev.G), by: id(ev.By), from: ev.From, to: ev.To, fromKnown: ev.FromKnown,
		reason: p.String(ev.Reason), text: p.String(ev.Text), text2: p.String(ev.Text2), value: ev.Value, parent: ev.Parent,
		wait: ev.Wait, waker: ev.Waker, stack: ev.Stack, byStack: ev.ByStack,
	}
}

// walked is all that a walk said.
type walked struct {
	events []seen
	times  []Time
	stacks [][]Frame // by id
	info   Info
	err    error
}

func walkAll(t testing.TB, data []byte, limits Limits) walked { return walkIn(input(t, data), limits) }

func walkIn(in *Input, limits Limits) walked {
	var w walked
	p, info, err := WalkWith(in, func(p *Program, ev *Event) {
		w.events = append(w.events, see(p, ev))
		w.times = append(w.times, ev.Time)
	}, nil, limits)
	w.info, w.err = info, err
	if p != nil {
		for id := range p.t.stacks {
			w.stacks = append(w.stacks, p.Frames(StackID(id)))
		}
	}
	return w
}

// compareWalks fails where two walks over one trace differ.
func compareWalks(t *testing.T, a, b walked) {
	t.Helper()
	if (a.err == nil) != (b.err == nil) {
		t.Fatalf("errors differ: %v, %v", a.err, b.err)
	}
	for i := range min(len(a.events), len(b.events)) {
		if a.events[i] != b.events[i] {
			t.Fatalf("event %d of %d differs:\n%+v at %d\n%+v at %d", i, len(a.events), a.events[i], a.times[i], b.events[i], b.times[i])
		}
		if d := a.times[i] - b.times[i]; d > 1000 || d < -1000 {
			t.Fatalf("event %d: %+v\nat %d and at %d", i, a.events[i], a.times[i], b.times[i])
		}
	}
	if len(a.events) != len(b.events) {
		t.Fatalf("%d and %d events", len(a.events), len(b.events))
	}
	if len(a.stacks) != len(b.stacks) {
		t.Fatalf("%d and %d stacks", len(a.stacks), len(b.stacks))
	}
	for id := range a.stacks {
		if fmt.Sprint(a.stacks[id]) != fmt.Sprint(b.stacks[id]) {
			t.Fatalf("stack %d differs:\n%v\n%v", id, a.stacks[id], b.stacks[id])
		}
	}
	if a.info != b.info {
		t.Errorf("info differs:\n%+v\n%+v", a.info, b.info)
	}
}

// TestLikeReference holds our decoder against golang.org/x/exp/trace: the same
// events in the same order, from all recorded traces, however many generations
// are decoded at a time. With -short it takes every tenth.
func TestLikeReference(t *testing.T) {
	files, err := filepath.Glob("../fixtures/*/*/*.trace.zst")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d recorded traces, %v", len(files), err)
	}
	own, err := filepath.Glob("testdata/waits/*.trace.zst")
	if err != nil || len(own) == 0 {
		t.Fatalf("%d traces of our own, %v", len(own), err)
	}
	for i, file := range append(own, files...) {
		if testing.Short() && i >= len(own) && i%10 != 0 {
			continue
		}
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			one := walkAll(t, data, Limits{Jobs: 1})
			compareWalks(t, walkAll(t, data, Limits{reference: true}), one)
			many := walkAll(t, data, Limits{Jobs: 4, Memory: 1 << 16})
			compareWalks(t, one, many)
			if !slices.Equal(one.times, many.times) {
				t.Error("times depend on the number of jobs")
			}
		})
	}
}

// TestLikeReferenceCut does the same with traces that break off: never more is
// read than the reference reads, and no whole generation less.
func TestLikeReferenceCut(t *testing.T) {
	for _, rec := range recordings(t) {
		if rec.version < 22 {
			continue
		}
		for _, part := range []int{2, 3, 5, 7} {
			data := rec.data[:len(rec.data)-len(rec.data)/part]
			a, b := walkAll(t, data, Limits{reference: true}), walkAll(t, data, Limits{Jobs: 3})
			if (a.err == nil) != (b.err == nil) || a.info.Unread != b.info.Unread || a.info.Complete != b.info.Complete {
				t.Errorf("%s without its last 1/%d: %v %+v, and by us %v %+v", rec.name, part, a.err, a.info, b.err, b.info)
			}
			if len(b.events) > len(a.events) || !slices.Equal(a.events[:len(b.events)], b.events) {
				t.Errorf("%s without its last 1/%d: %d events, and by us %d others", rec.name, part, len(a.events), len(b.events))
			}
		}
	}
}

// TestActiveOfNoThread checks what the runtime writes of a goroutine that assists the
// collector and is parked when a generation begins: a batch that is no thread's.
func TestActiveOfNoThread(t *testing.T) {
	for _, rec := range recordings(t) {
		if !ownFormat(headerVersion(rec.data[:headerSize])) {
			continue
		}
		starts := generations(t, rec.data)
		at := starts[1]
		if rec.version >= 26 {
			at-- // before the end mark
		}
		in := numbers{data: rec.data, at: starts[0] + 1}
		number := in.uvarint()
		in.uvarint()
		begin := in.uvarint()
		const main = 1
		for typ, who := range map[byte]uint64{evGCMarkAssistActive: main, evGCSweepActive: 0} {
			batch := []byte{tagEventBatch}
			for _, v := range []uint64{number, noThread, begin + 1<<20, 3} {
				batch = binary.AppendUvarint(batch, v)
			}
			batch = append(batch, typ, 0, byte(who))
			data := slices.Insert(slices.Clone(rec.data), at, batch...)
			whole, own, reference := walkAll(t, rec.data, Limits{}), walkAll(t, data, Limits{}), walkAll(t, data, Limits{reference: true})
			compareWalks(t, reference, own)
			if own.err != nil || !own.info.Complete || len(own.events) != len(whole.events)+1 {
				t.Errorf("%s, event %d: %v, %s, %d events and %d without it", rec.name, typ, own.err, own.info.Why, len(own.events), len(whole.events))
			}
		}
	}
}
