// Package jobs tells goroutines by their job: what they run, and where they
// were started.
package jobs

import (
	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

// ID is the number of a job in a Table, counted from 1: an index for tables of
// one's own. 0 is that of goroutines of which neither entry nor creation is known.
type ID uint32

// Key says what makes a job.
type Key struct {
	Entry   traceload.FuncID  // what it runs
	Created traceload.FrameID // the line of the go statement
}

// Table numbers jobs in the order in which it is asked for them. The zero
// value is empty and ready to use.
type Table struct {
	latest   []named         // by creation: the job of the latest that was asked for; mostly there is no other
	byStacks dense.Pairs[ID] // by entry and creation; several pairs have one job
	byKey    map[Key]ID
	n        ID
}

// named is the job of those with one entry.
type named struct {
	entry traceload.StackID
	id    ID // 0: none was asked for
}

// Of returns the job of g as far as it is known by now: g's entry may become
// known later.
func (t *Table) Of(p *traceload.Program, g *traceload.Goroutine) ID {
	if int(g.CreatedAt) < len(t.latest) {
		if l := t.latest[g.CreatedAt]; l.entry == g.Entry && l.id != 0 {
			return l.id
		}
	}
	return t.find(p, g)
}

func (t *Table) find(p *traceload.Program, g *traceload.Goroutine) ID {
	id := t.byStacks.At(uint32(g.Entry), uint32(g.CreatedAt))
	if *id == 0 {
		*id = t.number(KeyOf(p, g))
	}
	if n := int(g.CreatedAt) + 1 - len(t.latest); n > 0 {
		t.latest = append(t.latest, make([]named, n)...)
	}
	t.latest[g.CreatedAt] = named{g.Entry, *id}
	return *id
}

// KeyOf returns what makes g's job.
func KeyOf(p *traceload.Program, g *traceload.Goroutine) Key {
	return Key{p.Frame(p.EntryID(g)).FuncID, p.SiteID(g.CreatedAt)}
}

func (t *Table) number(k Key) ID {
	if k == (Key{}) {
		return 0
	}
	id, ok := t.byKey[k]
	if !ok {
		if t.byKey == nil {
			t.byKey = map[Key]ID{}
		}
		t.n++
		id = t.n
		t.byKey[k] = id
	}
	return id
}
