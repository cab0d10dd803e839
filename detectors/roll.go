package detectors

import (
	"slices"

	"github.com/tracedoc/tracedoc/traceload"
)

// Roll is which goroutines have part in something: the first MaxGroupIDs by their ids, and how
// many there are. The zero value is empty.
type Roll struct {
	ids [MaxGroupIDs]traceload.GoID
	n   int
}

// Note counts a goroutine, unless it is among the first ones. One that came when those were
// complete counts each time.
func (r *Roll) Note(id traceload.GoID) {
	if r.Has(id) {
		return
	}
	if r.n < len(r.ids) {
		r.ids[r.n] = id
	}
	r.n++
}

// Has tells whether a goroutine is among the first ones.
func (r *Roll) Has(id traceload.GoID) bool { return slices.Contains(r.first(), id) }

// Merge counts those of another roll.
func (r *Roll) Merge(other *Roll) {
	for _, id := range other.first() {
		r.Note(id)
	}
	r.n += other.n - len(other.first())
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
