package histogram

import "time"

// Small is a Histogram of lengths that lie within eight octaves of each other, as those of
// one goroutine mostly do: it takes a fifth of the space. It becomes a Histogram when others
// are added. The zero value is empty and ready to use.
type Small struct {
	// cells are for a bucket each, whose number is the cell's modulo their number: the bucket
	// plus one, and how many lengths fell into it. 0 is for none.
	cells [8 * steps]uint32
	all   *Histogram // nil as long as cells hold all
}

const (
	countBits = 24
	countMask = 1<<countBits - 1

	_ = uint(1<<(32-countBits) - 1 - octaves*steps) // there is room for every bucket plus one
)

// Add counts one length.
func (s *Small) Add(d time.Duration) {
	if s.all == nil {
		b := uint32(bucket(d))
		c, at := &s.cells[b%uint32(len(s.cells))], (b+1)<<countBits
		if *c^at < countMask { // it is for this bucket, and has room
			*c++
			return
		}
		if *c == 0 {
			*c = at + 1
			return
		}
		s.all = s.histogram()
	}
	s.all.Add(d)
}

// Quantile is that of a Histogram.
func (s *Small) Quantile(q float64) time.Duration { return s.histogram().Quantile(q) }

// histogram returns all that was counted.
func (s *Small) histogram() *Histogram {
	if s.all != nil {
		return s.all
	}
	h := new(Histogram)
	for _, c := range s.cells {
		if c != 0 {
			n := c & countMask
			h.buckets[c>>countBits-1] = n
			h.n += int(n)
		}
	}
	return h
}
