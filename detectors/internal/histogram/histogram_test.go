package histogram_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors/internal/histogram"
)

func TestQuantileIsCloseToWhatWasAdded(t *testing.T) {
	for _, d := range []time.Duration{64, 100, 999, time.Microsecond, 8 * time.Microsecond, 123456, 10 * time.Millisecond, time.Second, time.Hour, 48 * time.Hour} {
		var h histogram.Histogram
		h.Add(d)
		got := h.Quantile(0.5)
		if diff := got - d; diff > d/8 || diff < -d/8 {
			t.Errorf("quantile after adding %v alone: %v", d, got)
		}
	}
}

// TestSteps: four in each octave, all over the scale, and each begins with the
// very length that it should.
func TestSteps(t *testing.T) {
	of := func(d time.Duration) time.Duration {
		var h histogram.Histogram
		h.Add(d)
		return h.Quantile(0.5)
	}
	for octave := 6; octave < 48; octave++ {
		for step := range 4 {
			first := time.Duration(4+step) << (octave - 2)
			last := time.Duration(5+step)<<(octave-2) - 1
			middle := time.Duration(9+2*step) << (octave - 3)
			if of(first) != middle || of(last) != middle {
				t.Errorf("%d and %d count as %d and %d, want %d", first, last, of(first), of(last), middle)
			}
		}
	}
}

func TestQuantiles(t *testing.T) {
	var h, other histogram.Histogram
	for i := 1; i <= 900; i++ {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	for i := 901; i <= 1000; i++ {
		other.Add(time.Duration(i) * time.Microsecond)
	}
	h.Merge(&other)
	if h.N() != 1000 {
		t.Errorf("N() = %d, want 1000", h.N())
	}
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0, time.Microsecond}, {0.1, 100 * time.Microsecond}, {0.5, 500 * time.Microsecond}, {0.99, 990 * time.Microsecond}, {1, 1000 * time.Microsecond}} {
		if got := h.Quantile(tt.q); got < tt.want*85/100 || got > tt.want*115/100 {
			t.Errorf("Quantile(%v) = %v, want about %v", tt.q, got, tt.want)
		}
	}
}

func TestTheEndsOfTheScale(t *testing.T) {
	var h histogram.Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("an empty histogram has the median %v", got)
	}
	h.Add(-1)
	h.Add(0)
	if got := h.Quantile(1); got > 100 {
		t.Errorf("nothing at all counts as %v", got)
	}
	h.Add(1 << 62)
	if got := h.Quantile(1); got < 48*time.Hour {
		t.Errorf("a length beyond the scale counts as %v", got)
	}
	if allocs := testing.AllocsPerRun(100, func() { h.Add(time.Second) }); allocs != 0 {
		t.Errorf("Add allocates %v times", allocs)
	}
}

// TestFollower: it finds the same as a Histogram, whatever is added between.
func TestFollower(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var h histogram.Histogram
		var f histogram.Follower
		qs := []float64{0, 0.5, 0.9, 1}[rng.IntN(4):]
		spread := 1 + rng.IntN(50)
		for i := range 300 {
			if i == 150 {
				spread = 1 + rng.IntN(50)
			}
			q := qs[rng.IntN(1+rng.IntN(len(qs)))]
			if got, want := f.Quantile(q), h.Quantile(q); got != want || f.N() != h.N() {
				t.Fatalf("quantile %v of %d lengths: %v, want %v of %d", q, f.N(), got, want, h.N())
			}
			for range rng.IntN(3) {
				d := time.Duration(rng.Int64N(1 << spread))
				h.Add(d)
				f.Add(d)
			}
		}
	}
}

// TestSmall: it finds the same as a Histogram, whether lengths lie close together or far apart.
func TestSmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var h histogram.Histogram
		var s histogram.Small
		least, spread := time.Duration(1)<<rng.IntN(40), 1+rng.IntN(12)
		for range rng.IntN(300) {
			if rng.IntN(200) == 0 {
				least = time.Duration(1) << rng.IntN(40)
			}
			d := least + time.Duration(rng.Int64N(int64(least)<<rng.IntN(spread)))
			h.Add(d)
			s.Add(d)
			if q := []float64{0, 0.5, 0.9, 1}[rng.IntN(4)]; s.Quantile(q) != h.Quantile(q) {
				t.Fatalf("quantile %v of %d lengths: %v, want %v", q, h.N(), s.Quantile(q), h.Quantile(q))
			}
		}
	}
}

// TestSmallCounts: as many lengths as a cell has no room for are counted all the same.
func TestSmallCounts(t *testing.T) {
	var s histogram.Small
	const many = 1<<24 + 10
	for range many {
		s.Add(time.Second)
	}
	for range many - 20 {
		s.Add(2 * time.Second)
	}
	if got, least := s.Quantile(0.5), s.Quantile(0); got != least {
		t.Errorf("half took %v or less, want %v", got, least)
	}
	s.Add(2 * time.Second)
	for range 40 {
		s.Add(2 * time.Second)
	}
	if got, most := s.Quantile(0.5), s.Quantile(1); got != most {
		t.Errorf("half took %v or less, want %v", got, most)
	}
}
