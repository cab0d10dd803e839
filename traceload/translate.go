package traceload

import (
	"fmt"
	"slices"
)

// translator gives what batches of a generation refer to ids that hold throughout the
// trace. It belongs to one goroutine and takes batches in order, so ids do not
// depend on how many generations were decoded at once. It looks at what is new in a
// batch alone: whoever reads records finds ids in the table that it fills (ids).
type translator struct {
	in    *interner
	tasks map[int64]task // that have begun

	last int64 // time of the record before

	g      *generation // the present one
	ids    ids         // of it
	names  []StringID  // of functions and files, plus one, by the ids that the generation has; 0 for what was not looked at
	met    []metFrame  // some of its frames, each where it hashes to
	frames []FrameID
	fixed  [len(fixedTexts)]StringID
}

// ids holds, by the ids that one generation has, those that hold throughout the trace; 0
// for what did not occur so far.
type ids struct {
	stacks []StackID
	texts  []StringID
}

// stack returns the id that holds throughout the trace; without a table each one does.
func (t *ids) stack(id StackID) StackID {
	if uint(id) < uint(len(t.stacks)) {
		return t.stacks[id]
	}
	return id
}

// text is stack for a text.
func (t *ids) text(id StringID) StringID {
	if uint(id) < uint(len(t.texts)) {
		return t.texts[id]
	}
	return id
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
	return &translator{in: newInterner(), tasks: map[int64]task{}, met: make([]metFrame, 1<<metBits)}
}

// begin turns to the next generation. Lanes may still read the ids of the one before.
func (t *translator) begin(g *generation) {
	t.g = g
	t.ids = ids{make([]StackID, len(g.stacks)), make([]StringID, len(g.strings))}
	t.names = slices.Grow(t.names[:0], len(g.strings))[:len(g.strings)]
	clear(t.names)
	clear(t.met)
}

// batch prepares a batch for those who read it.
func (t *translator) batch(b *records) {
	// Threads change generations one by one, so two generations may overlap a little.
	for i := range b.list {
		if b.list[i].time > t.last {
			break
		}
		t.last = after(t.last)
		b.list[i].time = t.last
	}
	if n := len(b.list); n > 0 {
		t.last = b.list[n-1].time
	}
	for _, n := range b.news {
		switch n.what {
		case newsStack:
			t.stack(StackID(n.id))
		case newsText:
			t.string(StringID(n.id))
		case newsOther:
			t.other(&b.list[n.at], &b.extras[n.id])
		}
	}
}

// other gives a record that is no change of a goroutine's state its final ids.
func (t *translator) other(r *record, x *extra) {
	r.stack = t.stack(r.stack)
	switch r.what.kind() {
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
	if local == 0 {
		return 0
	}
	id := t.ids.stacks[local]
	if id == 0 {
		id = t.internStack(local)
		t.ids.stacks[local] = id
	}
	return id
}

func (t *translator) internStack(local StackID) StackID {
	e := t.g.stacks[local]
	in := numbers{data: t.g.tables[e.table][:e.to], at: int(e.from)}
	t.frames = t.frames[:0]
	for range in.uvarint() {
		_, fn, file, line := in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint()
		t.frames = append(t.frames, t.frame(fn, file, line))
	}
	return t.in.stack(t.frames)
}

// metFrame is a frame as a generation tells it. Its id is 0 where there is none.
type metFrame struct {
	fn, file, line uint64
	id             FrameID
}

// metBits is how long a hash is by which they are kept: stacks share most of their frames.
const metBits = 12

func (t *translator) frame(fn, file, line uint64) FrameID {
	met := &t.met[(fn*0x9e3779b97f4a7c15^line*0xd6e8feb86659fd93)>>(64-metBits)]
	if met.id == 0 || met.fn != fn || met.file != file || met.line != line {
		*met = metFrame{fn, file, line, t.in.frame(t.name(fn), t.name(file), int(line))}
	}
	return met.id
}

// name returns the id of one of the names of functions and files, which every generation repeats.
func (t *translator) name(local uint64) StringID {
	if local >= uint64(len(t.names)) {
		return t.in.bytes(nil)
	}
	name := &t.names[local]
	if *name == 0 {
		*name = t.in.bytes(t.bytes(local)) + 1
	}
	return *name - 1
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
	return t.g.tables[e.table][e.from:e.to]
}

func (t *translator) string(local StringID) StringID { return t.word(local, t.in.string) }

// userText is string for what the traced program made up.
func (t *translator) userText(local StringID) StringID { return t.word(local, t.in.userText) }

func (t *translator) word(local StringID, intern func(string) StringID) StringID {
	if local == 0 {
		return 0
	}
	id := t.ids.texts[local]
	if id == 0 {
		id = intern(string(t.bytes(uint64(local))))
		t.ids.texts[local] = id
	}
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
