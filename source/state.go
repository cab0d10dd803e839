package source

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// This file holds what is known of locks at one point of a function, and what
// becomes of that where a lock is taken or released and where two paths meet.
// It knows nothing of the graph that leads there (flow.go).

// counts is the set of how often a lock may be held, relative to the
// function's begin: a bit each for -1 (the caller's hold was released), 0, 1 and 2.
type counts uint8

const (
	released counts = 1 << iota
	free
	once
	twice

	taken = once | twice
)

// lock is the counts after a Lock (of a lock that can be held once only) or an RLock.
func (c counts) lock(m Mode) counts {
	var n counts
	if c&released != 0 {
		n |= free
	}
	if c&free != 0 {
		n |= once
	}
	if c&taken != 0 {
		if m == Read {
			n |= twice
		} else if n == 0 { // it waits for itself; if it ever goes on, it holds the lock
			n = once
		}
	}
	return n
}

// unlock is the counts after an Unlock. Only a lock that is held can be
// unlocked: where this function may have taken it, it has.
func (c counts) unlock() counts {
	if c&taken == 0 {
		return released
	}
	var n counts
	if c&once != 0 {
		n |= free
	}
	if c&twice != 0 {
		n |= once
	}
	return n
}

// held is what is known of one lock, in one mode, at a point.
type held struct {
	key      string // of the ref, with the mode
	on       ref
	mode     Mode
	counts   counts
	at       token.Pos // where this function took it last
	expr     string
	lockType string
}

// state is what is known at a point. States are not changed once made.
type state struct {
	locks  []held      // sorted by key; a lock that is missing is free
	defers []deferred  // by position
	tries  []condition // booleans that say whether a TryLock succeeded
}

type deferred struct {
	stmt *ast.DeferStmt
	sure bool // on all paths
}

type condition struct {
	v   *types.Var
	key string
}

func (s *state) find(key string) (held, bool) {
	i, ok := slices.BinarySearchFunc(s.locks, key, func(h held, k string) int { return cmp.Compare(h.key, k) })
	if !ok {
		return held{}, false
	}
	return s.locks[i], true
}

func (s *state) with(h held) *state {
	n := *s
	i, ok := slices.BinarySearchFunc(s.locks, h.key, func(x held, k string) int { return cmp.Compare(x.key, k) })
	n.locks = slices.Clone(s.locks)
	switch {
	case ok && h.counts == free:
		n.locks = slices.Delete(n.locks, i, i+1)
	case ok:
		n.locks[i] = h
	case h.counts != free:
		n.locks = slices.Insert(n.locks, i, h)
	}
	return &n
}

// maxLocks bounds the locks that a state tells apart.
const maxLocks = 64

// apply is the state after an effect of a call.
func (s *state) apply(e effect, at token.Pos, expr string) *state {
	key := e.on.key() + "/" + e.mode.String()
	h, ok := s.find(key)
	if !ok {
		if len(s.locks) >= maxLocks {
			return s
		}
		h = held{key: key, on: e.on, mode: e.mode, counts: free, lockType: e.lockType}
	}
	before := h.counts
	if e.count > 0 {
		h.counts = h.counts.lock(e.mode)
		h.at, h.expr = at, expr
	} else {
		h.counts = h.counts.unlock()
		if !ok {
			h.at, h.expr = at, expr
		}
	}
	if e.may || e.try {
		h.counts |= before
	}
	return s.with(h)
}

// sure narrows a lock that may be held to one that is, or to one that is not.
func (s *state) sure(key string, holds bool) *state {
	h, ok := s.find(key)
	if !ok {
		return s
	}
	n := h.counts &^ taken
	if holds {
		n = h.counts & taken
	}
	if n == 0 {
		return s
	}
	h.counts = n
	return s.with(h)
}

// meet is what is known where two paths meet.
func meet(a, b *state) *state {
	if a == nil || a == b {
		return b
	}
	if b == nil {
		return a
	}
	n := &state{}
	for i, j := 0, 0; i < len(a.locks) || j < len(b.locks); {
		var h held
		switch {
		case j == len(b.locks) || i < len(a.locks) && a.locks[i].key < b.locks[j].key:
			h = a.locks[i]
			h.counts |= free
			i++
		case i == len(a.locks) || b.locks[j].key < a.locks[i].key:
			h = b.locks[j]
			h.counts |= free
			j++
		default:
			h = a.locks[i]
			if o := b.locks[j]; o.counts&taken != 0 && (h.counts&taken == 0 || o.at < h.at) {
				h.at, h.expr = o.at, o.expr
			}
			h.counts |= b.locks[j].counts
			i++
			j++
		}
		n.locks = append(n.locks, h)
	}
	for i, j := 0, 0; i < len(a.defers) || j < len(b.defers); {
		switch {
		case j == len(b.defers) || i < len(a.defers) && a.defers[i].stmt.Pos() < b.defers[j].stmt.Pos():
			n.defers = append(n.defers, deferred{a.defers[i].stmt, false})
			i++
		case i == len(a.defers) || b.defers[j].stmt.Pos() < a.defers[i].stmt.Pos():
			n.defers = append(n.defers, deferred{b.defers[j].stmt, false})
			j++
		default:
			n.defers = append(n.defers, deferred{a.defers[i].stmt, a.defers[i].sure && b.defers[j].sure})
			i++
			j++
		}
	}
	for _, c := range a.tries {
		if slices.Contains(b.tries, c) {
			n.tries = append(n.tries, c)
		}
	}
	return n
}

func equal(a, b *state) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && slices.EqualFunc(a.locks, b.locks, func(x, y held) bool {
		return x.key == y.key && x.counts == y.counts && x.at == y.at
	}) && slices.Equal(a.defers, b.defers) && slices.Equal(a.tries, b.tries)
}
