package traceload

import "slices"

// record is what a decoder makes of one event: plain values, no pointers, and small,
// since each lane reads all of them.
type record struct {
	time           int64 // the trace's own clock
	g, by          int32 // to whom, by whom: their slots (see seating), noSlot for nobody; from order their numbers in its roster
	stack, byStack StackID
	text           StringID
	kind           Kind
	from, to       State
	flags          recordFlags
}

type recordFlags uint8

const (
	hasExtra recordFlags = 1 << iota
	isNew                // g was not there before
)

// extra is what only some records tell: those that may be the first of their
// goroutine, and all that are no change of a goroutine's state.
type extra struct {
	id            GoID  // g's
	value, parent int64 // see Event; the creator's id in one of KindCreate
	text2         StringID
}

// records is some records in order, and the extras of those that have one, in the same order.
type records struct {
	list   []record
	extras []extra
	part   part // in which lanes get them
}

// A batch has as many records as there are events in a raw batch, or fewer: an
// event gives at most one. Of either kind there are a few, which go round. Processors that
// turn from one stage to another have to find its code and data again: with batches of half
// that size all takes 2 % longer, with a quarter of it 5 %.
const (
	batchSize       = 8192
	batchesInFlight = 4
)

// add adds a record with an extra.
func (b *records) add(r record, x extra) {
	r.flags |= hasExtra
	b.list, b.extras = append(b.list, r), append(b.extras, x)
}

// reset empties b, which keeps its memory.
func (b *records) reset() { b.list, b.extras = b.list[:0], b.extras[:0] }

// record adds an event that is about goroutine g.
func (o *order) record(at int64, kind Kind, g int32, from, to State) *record {
	n := len(o.out.list)
	if n == cap(o.out.list) {
		o.emit()
		n = len(o.out.list)
	}
	o.out.list = o.out.list[:n+1]
	r := &o.out.list[n]
	// Field by field: a literal with values would be made elsewhere and copied in wider
	// words than it was written by, for which processors wait.
	*r = record{}
	r.time, r.g, r.by = o.tick(at), g, noSlot
	r.kind, r.from, r.to = kind, from, to
	return r
}

// extra gives the latest record an extra.
func (o *order) extra(r *record, id GoID) *extra {
	r.flags |= hasExtra
	o.out.extras = append(o.out.extras, extra{id: id})
	return &o.out.extras[len(o.out.extras)-1]
}

// other adds an event that is no change of a goroutine's state.
func (o *order) other(c *cursor, kind Kind, g GoID, text StringID) (*record, *extra) {
	r := o.record(c.time, kind, noSlot, 0, 0)
	r.text = text
	return r, o.extra(r, g)
}

func (o *order) sample(s *sample) {
	r := o.record(s.time, KindSample, noSlot, 0, 0)
	o.extra(r, s.g)
	r.stack = StackID(s.stack)
	if int(s.stack) >= len(o.g.stacks) || o.g.stacks[s.stack].from == 0 {
		r.stack = 0
	}
}

// noSlot is nobody's slot.
const noSlot = -1

// seating gives goroutines their slots (Goroutine.Slot): those of goroutines that
// ended, the latest first, before new ones. Whoever has ended keeps the slot until a later
// record gives it to another.
type seating struct {
	slots goTable[int32] // of those alive, plus one
	ids   []GoID         // by slot
	free  []int32
}

// withRoom returns list with room for one more: if there is none, then at once for as many
// as it may come to hold. Growing bit by bit leaves more garbage than that takes.
func withRoom[T any](list []T, most int) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(1, most-len(list)))
	}
	return list
}

// slot returns the slot of a goroutine, noSlot if it is not there.
func (s *seating) slot(id GoID) int32 { return s.slots.get(id) - 1 }

// take returns the slot of a goroutine that is there from now on, and whether it is new.
func (s *seating) take(id GoID) (slot int32, fresh bool) {
	if slot := s.slot(id); slot != noSlot {
		return slot, false
	}
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
		s.ids[slot] = id
	} else {
		slot = int32(len(s.ids))
		s.ids = append(withRoom(s.ids, 2*len(s.ids)), id)
	}
	s.slots.put(id, slot+1)
	return slot, true
}

// leave takes the end of whoever has a slot. It comes last of what a record does.
func (s *seating) leave(slot int32) {
	s.slots.remove(s.ids[slot])
	s.free = append(withRoom(s.free, len(s.ids)), slot)
}
