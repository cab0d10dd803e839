// Package histogram counts lengths of time in bounded space.
package histogram

import (
	"math"
	"time"
)

// Histogram counts lengths of time on a logarithmic scale with four steps per
// octave. The zero value is empty and ready to use. It takes less than a kilobyte,
// and adding to it allocates nothing.
type Histogram struct {
	n       int
	buckets [octaves * steps]uint32
}

// The scale reaches from 64 ns, the resolution of most traces' clocks, to
// three days; what lies outside is counted at its ends.
const (
	octaves = 42
	steps   = 4
	lowest  = 6 // the first octave begins at 2^6 ns

	exponent = 1023 // of the floating-point number 1, as it is stored
)

// Add counts one length.
func (h *Histogram) Add(d time.Duration) {
	h.n++
	h.buckets[bucket(d)]++
}

// Merge adds all that o has counted.
func (h *Histogram) Merge(o *Histogram) {
	h.n += o.n
	for b, n := range o.buckets {
		h.buckets[b] += n
	}
}

// N returns how many lengths were counted.
func (h *Histogram) N() int { return h.n }

// Quantile returns the length that the fraction q of those counted did not
// exceed, within an eighth of it; 0 if nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := min(int(q*float64(h.n)), h.n-1)
	seen := 0
	for b, n := range h.buckets {
		seen += int(n)
		if n > 0 && seen > rank {
			return middle(b)
		}
	}
	return 0
}

// bucket is what the length falls into: octave and step are the exponent of its
// floating-point form and the first two bits after. Lengths that such a number
// cannot hold exactly lie beyond the scale anyway.
func bucket(d time.Duration) int {
	b := int(int64(math.Float64bits(float64(d)))>>50) - (exponent+lowest)*steps
	if uint(b) >= octaves*steps {
		return end(b)
	}
	return b
}

// end is the bucket at the end of the scale beyond which b lies.
func end(b int) int {
	if b < 0 {
		return 0
	}
	return octaves*steps - 1
}

// middle is the middle of a bucket.
func middle(b int) time.Duration {
	octave := b/steps + lowest
	return time.Duration(1)<<octave + time.Duration(2*(b%steps)+1)<<(octave-3)
}
