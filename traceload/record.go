package traceload

import "slices"

// record is what a decoder makes of one event: plain values, no pointers, and small,
// since each lane reads all of them.
type record struct {
	time  int64    // the trace's own clock, never earlier than that of the record before
	g     int32    // to whom: its number in a roster, nobody for none
	stack StackID  // the generation's own, like text, see ids; for KindUnblock that of who did it
	text  StringID // for KindCreate and KindUnblock who did it, see by
	what  change
}

// change is what happened: the kind, in the lowest byte, the states before and after, and whether
// the record has an extra. They are read and written all at once.
type change uint32

const hasExtra change = 1 << 24

func changeOf(kind Kind, from, to State) change {
	return change(kind) | change(from)<<8 | change(to)<<16
}

func (c change) kind() Kind  { return Kind(c) }
func (c change) from() State { return State(c >> 8) }
func (c change) to() State   { return State(c >> 16) }

// by is who did what a record of KindCreate or KindUnblock tells: a number in a roster, nobody
// for none. No record has that and a text as well.
func (r *record) by() int32 { return int32(r.text) }

// textOf is what a record has in place of a text for who did it.
func textOf(by int32) StringID { return StringID(by) }

// extra is what only some records tell: those that may be the first of their
// goroutine, and all that are no change of a goroutine's state.
type extra struct {
	id            GoID  // g's
	value, parent int64 // see Event; the creator's id in one of KindCreate
	text2         StringID
	byStack       StackID // of KindCreate
}

// records is some records in order, and the extras of those that have one, in the same order.
type records struct {
	list   []record
	zeroed int // how far list's array is written to, or zero
	extras []extra
	news   []news
	part   part // in which lanes get them
}

// news is what translator has to look at: what a generation's records refer to for the first
// time, and records that are no change of a goroutine's state. They are in the order of records.
type news struct {
	what newsKind
	at   uint32 // which record it is about
	id   uint32 // of the stack or text; which extra the record has
}

type newsKind uint8

const (
	newsStack newsKind = iota
	newsText
	newsOther
)

// A batch has as many records as there are events in a raw batch, or fewer: an
// event gives at most one. Of either kind there are a few, which go round. Processors that
// turn from one stage to another have to find its code and data again: with batches of half
// that size all takes 2 % longer, with a quarter of it 5 %.
const (
	batchSize       = 8192
	batchesInFlight = 4
)

// zeroAhead is how many records are made zero at a time, before the first of them is written.
// Lanes have read the array before, on other processors, whose caches are to let go of it: that
// is asked for once then, for some pages, and not again and again while a record is written.
// Where two processors have no cache in common all takes a tenth longer else.
const zeroAhead = 128

// add adds a record with an extra.
func (b *records) add(r record, x extra) {
	r.what |= hasExtra
	b.list, b.extras = append(b.list, r), append(b.extras, x)
}

// reset empties b, which keeps its memory.
func (b *records) reset() {
	b.list, b.extras, b.news = b.list[:0], b.extras[:0], b.news[:0]
	b.zeroed = 0
}

// record adds an event that is about goroutine g.
func (o *order) record(at int64, kind Kind, g int32, from, to State) *record {
	if len(o.out.list) == o.out.zeroed {
		o.room()
	}
	out := o.out
	list := out.list[:len(out.list)+1]
	out.list = list
	r := &list[len(list)-1]
	// Field by field: a literal with values would be made elsewhere and copied in wider
	// words than it was written by, for which processors wait.
	r.time, r.g = o.tick(at), g
	r.what = changeOf(kind, from, to)
	return r
}

// room makes room for a record, which is zero.
func (o *order) room() {
	if len(o.out.list) == cap(o.out.list) {
		o.emit()
	}
	b := o.out
	b.zeroed = min(len(b.list)+zeroAhead, cap(b.list))
	clear(b.list[len(b.list):b.zeroed])
}

// extra gives the latest record an extra.
func (o *order) extra(r *record, id GoID) *extra {
	r.what |= hasExtra
	o.out.extras = append(o.out.extras, extra{id: id})
	return &o.out.extras[len(o.out.extras)-1]
}

// other adds an event that is no change of a goroutine's state.
func (o *order) other(c *cursor, kind Kind, g GoID, text StringID) (*record, *extra) {
	r := o.record(c.time, kind, nobody, 0, 0)
	r.text = text
	return r, o.otherExtra(r, g)
}

// otherExtra gives the latest record, which is no change of a goroutine's state, an extra.
func (o *order) otherExtra(r *record, g GoID) *extra {
	x := o.extra(r, g)
	o.tell(newsOther, len(o.out.list)-1, len(o.out.extras)-1)
	return x
}

// tell tells translator of something.
func (o *order) tell(what newsKind, at, id int) {
	o.out.news = append(o.out.news, news{what, uint32(at), uint32(id)})
}

// met tells which ids have occurred.
type met []bool

func newMet(n int) met {
	m := make(met, max(n, 1))
	m[0] = true
	return m
}

func (m met) has(id uint64) bool { return id < uint64(len(m)) && m[id] }

// meet checks what a record is to refer to, and tells what of it is new.
func (o *order) meet(text, stack, byStack uint64) error {
	if _, err := o.text(text); err != nil {
		return err
	}
	for _, id := range [...]uint64{stack, byStack} {
		if _, err := o.stack(id); err != nil {
			return err
		}
	}
	for _, id := range [...]uint64{stack, byStack} {
		if !o.stacks[id] {
			o.stacks[id] = true
			o.tell(newsStack, len(o.out.list), int(id))
		}
	}
	if !o.texts[text] {
		o.texts[text] = true
		o.tell(newsText, len(o.out.list), int(text))
	}
	return nil
}

// untold takes back what was told of a record that did not come.
func (b *records) untold() {
	for n := len(b.news); n > 0 && b.news[n-1].at >= uint32(len(b.list)); n = len(b.news) {
		b.news = b.news[:n-1]
	}
}

func (o *order) sample(s *sample) {
	r := o.record(s.time, KindSample, nobody, 0, 0)
	o.otherExtra(r, s.g)
	r.stack = StackID(s.stack)
	if int(s.stack) >= len(o.g.stacks) || o.g.stacks[s.stack].from == 0 {
		r.stack = 0
	}
}

// nobody stands for no goroutine.
const nobody = -1

// withRoom returns list with room for one more: if there is none, then at once for as many
// as it may come to hold. Growing bit by bit leaves more garbage than that takes.
func withRoom[T any](list []T, most int) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(1, most-len(list)))
	}
	return list
}
