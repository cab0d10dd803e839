package histogram

import "time"

// Follower is a Histogram of which a quantile is asked for again and again, between
// additions: it remembers where that was the last time, and finds it near there.
type Follower struct {
	h     Histogram
	at    int // the bucket of the quantile that was asked for last
	below int // how many lengths lie in those before it
}

// Add counts one length.
func (f *Follower) Add(d time.Duration) {
	b := bucket(d)
	f.h.n++
	f.h.buckets[b]++
	if b < f.at {
		f.below++
	}
}

// N returns how many lengths were counted.
func (f *Follower) N() int { return f.h.n }

// Quantile is that of a Histogram.
func (f *Follower) Quantile(q float64) time.Duration {
	if f.h.n == 0 {
		return 0
	}
	rank := min(int(q*float64(f.h.n)), f.h.n-1)
	for f.below > rank {
		f.at--
		f.below -= int(f.h.buckets[f.at])
	}
	for f.below+int(f.h.buckets[f.at]) <= rank {
		f.below += int(f.h.buckets[f.at])
		f.at++
	}
	return middle(f.at)
}
