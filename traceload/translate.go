package traceload

import "fmt"

// translator gives records of a generation ids that hold throughout the trace. It
// belongs to the walk's goroutine and takes generations in order, so ids do not
// depend on how many were decoded at once.
type translator struct {
	in    *interner
	tasks map[int64]task // that have begun

	last int64 // time of the record before

	seating
	seats []int32 // slots, by a goroutine's number in the roster of its generation

	g       *generation // the present one
	strings []StringID  // by its ids, plus one; 0 is not looked up yet
	stacks  []StackID   // likewise
	frames  []FrameID
	fixed   [len(fixedTexts)]StringID
}

// task is what the event of its end does not tell.
type task struct {
	text   StringID
	parent int64
}

// maxTasks bounds the tasks that are remembered. More do not run at once, but
// a program may forget to end them.
const maxTasks = 1 << 20

func newTranslator() *translator {
	t := &translator{in: newInterner(), tasks: map[int64]task{}}
	return t
}

// begin turns to the next generation.
func (t *translator) begin(g *generation) {
	t.g = g
	t.strings = resized(t.strings, len(g.strings))
	t.stacks = resized(t.stacks, len(g.stacks))
}

func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// records translates records in place.
func (t *translator) records(b *records) {
	next := 0
	for i := range b.list {
		r := &b.list[i]
		var x *extra
		if r.flags&hasExtra != 0 {
			x = &b.extras[next]
			next++
		}
		t.record(r, x)
	}
}

// record translates a record, and its extra, if it has one.
func (t *translator) record(r *record, x *extra) {
	// Threads change generations one by one, so two generations may overlap a little.
	r.time = max(r.time, t.last+1)
	t.last = r.time
	if r.stack != 0 {
		r.stack = t.stack(r.stack)
	}
	if r.byStack != 0 {
		r.byStack = t.stack(r.byStack)
	}
	if r.kind > KindEnd {
		t.other(r, x)
		return
	}
	if x == nil {
		r.g = t.seats[r.g]
	} else {
		t.enter(r, x.id)
	}
	if r.by != noSlot {
		r.by = t.seats[r.by]
	}
	if r.text != 0 {
		r.text = t.string(r.text)
	}
	if r.kind == KindEnd {
		t.leave(r.g)
	}
}

// enter finds the slot of a goroutine that may not have been met in this generation.
func (t *translator) enter(r *record, id GoID) {
	slot, fresh := t.take(id)
	if fresh {
		r.flags |= isNew
	}
	for int(r.g) >= len(t.seats) {
		t.seats = append(withRoom(t.seats, 2*len(t.seats)), noSlot)
	}
	t.seats[r.g], r.g = slot, slot
}

// other is record for what is no change of a goroutine's state.
func (t *translator) other(r *record, x *extra) {
	r.g = t.slot(x.id)
	switch r.kind {
	case KindTaskBegin:
		r.text = t.userText(r.text)
		if len(t.tasks) < maxTasks {
			t.tasks[x.value] = task{r.text, x.parent}
		}
	case KindTaskEnd:
		begun, ok := t.tasks[x.value]
		if !ok {
			begun.parent = -1
		}
		r.text, x.parent = begun.text, begun.parent
		delete(t.tasks, x.value)
	case KindRegionBegin, KindRegionEnd:
		r.text = t.userText(r.text)
	case KindLog:
		r.text, x.text2 = t.userText(r.text), t.userText(x.text2)
	default:
		switch {
		case r.text == 0:
		case r.text >= textProcs:
			t.fixedText(r, x)
		default:
			r.text = t.string(r.text)
		}
	}
}

func (t *translator) stack(local StackID) StackID {
	if id := t.stacks[local]; id != 0 {
		return id - 1
	}
	id := t.internStack(local)
	t.stacks[local] = id + 1
	return id
}

func (t *translator) internStack(local StackID) StackID {
	e := t.g.stacks[local]
	in := numbers{data: t.g.pieces[e.piece][:e.to], at: int(e.from)}
	t.frames = t.frames[:0]
	for range in.uvarint() {
		_, fn, file, line := in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint()
		t.frames = append(t.frames, t.in.frame(t.name(fn), t.name(file), int(line)))
	}
	return t.in.stack(t.frames)
}

// name is the text of one of the names of functions and files, which every generation repeats.
func (t *translator) name(local uint64) string {
	text := t.bytes(local)
	if id, ok := t.in.stringIDs[string(text)]; ok {
		return t.in.strings[id]
	}
	return string(text)
}

// bytes returns the text of a string; none for one that is missing.
func (t *translator) bytes(local uint64) []byte {
	if local >= uint64(len(t.g.strings)) {
		return nil
	}
	e := t.g.strings[local]
	if e.from == 0 {
		return nil
	}
	return t.g.pieces[e.piece][e.from:e.to]
}

func (t *translator) string(local StringID) StringID {
	if id := t.strings[local]; id != 0 {
		return id - 1
	}
	id := t.in.string(string(t.bytes(uint64(local))))
	t.strings[local] = id + 1
	return id
}

// userText is string for what the traced program made up.
func (t *translator) userText(local StringID) StringID {
	if local == 0 {
		return 0
	}
	if id := t.strings[local]; id != 0 {
		return id - 1
	}
	id := t.in.userText(string(t.bytes(uint64(local))))
	t.strings[local] = id + 1
	return id
}

func (t *translator) fixedText(r *record, x *extra) {
	if r.text == textStopped {
		r.text, x.text2 = t.in.string(fmt.Sprintf(fixedTexts[textStopped-textProcs], t.bytes(uint64(x.text2)))), 0
		return
	}
	i := r.text - textProcs
	if t.fixed[i] == 0 { // none of them is ""
		t.fixed[i] = t.in.string(fixedTexts[i])
	}
	r.text = t.fixed[i]
}
