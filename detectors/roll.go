package detectors

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// Roll is which goroutines have part in something: the first MaxGroupIDs by their ids, and how
// many there are. The zero value is empty.
type Roll struct {
	ids  [MaxGroupIDs]traceload.GoID
	n    int
	more map[traceload.GoID]struct{} // those after the first, at most rollMost
}

// rollMost bounds how many are told apart beyond those that are listed: there may be millions.
const rollMost = 1 << 12

// Note counts a goroutine, unless it was counted before; it tells whether it was not. Of more than
// four thousand those who come late count each time.
func (r *Roll) Note(id traceload.GoID) (fresh bool) {
	if r.Has(id) {
		return false
	}
	switch {
	case r.n < len(r.ids):
		r.ids[r.n] = id
	case len(r.more) < rollMost:
		if r.more == nil {
			r.more = map[traceload.GoID]struct{}{}
		}
		r.more[id] = struct{}{}
	}
	r.n++
	return true
}

// Has tells whether a goroutine is known to have been counted.
func (r *Roll) Has(id traceload.GoID) bool {
	if slices.Contains(r.first(), id) {
		return true
	}
	_, ok := r.more[id]
	return ok
}

// Merge counts those of another roll.
func (r *Roll) Merge(other *Roll) {
	for _, id := range other.first() {
		r.Note(id)
	}
	for id := range other.more {
		r.Note(id)
	}
	r.n += other.n - len(other.first()) - len(other.more)
}

func (r *Roll) first() []traceload.GoID { return r.ids[:min(r.n, len(r.ids))] }

// Len returns how many goroutines were counted.
func (r *Roll) Len() int { return r.n }

// First returns the first of all, 0 if there is none.
func (r *Roll) First() traceload.GoID { return r.ids[0] }

// IDs returns the first ones as a Group lists them, nil if there are none.
func (r *Roll) IDs() []int64 {
	var ids []int64
	for _, id := range r.first() {
		ids = append(ids, int64(id))
	}
	return ids
}
