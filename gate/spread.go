package gate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// How much a figure must change to be told from noise. Traces of the same load
// differ: by how much is known only where each side has several. Four a side are
// enough for the rank test of Mann, Whitney and Wilcoxon to reach significance;
// with fewer, no value of one side may lie within the other's range.
const (
	significance = 0.05 // of the rank test, and of a problem that all traces of a side missed
	enough       = 4    // traces a side from which on the rank test is used
	ratioAlone   = 2.0  // between medians, one trace a side
	ratioFew     = 1.5  // two or three a side
	ratioMany    = 1.1  // four and more
)

// figures measures a problem on both sides. What gathers while a trace is
// recorded is set in relation to its length.
func figures(b, a *problem) []Figure {
	perSecond := func(x float64, length time.Duration) float64 { return x / max(length.Seconds(), 0.001) }
	measures := []struct {
		name, unit string
		of         func(sighting) float64
	}{
		{"held up", "goroutines at any moment", func(s sighting) float64 { return perSecond(s.Impact.Blocked.Seconds(), s.length) }},
		{"goroutines", "goroutines", func(s sighting) float64 { return float64(s.Impact.Goroutines) }},
		{"occurrences", "per second", func(s sighting) float64 { return perSecond(float64(s.Impact.Occurrences), s.length) }},
	}
	list := []Figure{}
	for _, m := range measures {
		values := func(p *problem) (v []float64) {
			if p != nil {
				for _, s := range p.seen {
					v = append(v, m.of(s))
				}
			}
			slices.Sort(v)
			return v
		}
		before, after := values(b), values(a)
		f := Figure{Name: m.name, Unit: m.unit, Old: spread(before), New: spread(after)}
		if f.Old.Max == 0 && f.New.Max == 0 {
			continue // it is not measured by this
		}
		f.Verdict = compare(before, after)
		list = append(list, f)
	}
	return list
}

// weigh judges a problem by its figures, of which the first that changed decides:
// the time that is lost counts more than how many lose it, and that more than how
// often.
func weigh(list []Figure) (Verdict, string) {
	verdict := Same
	for _, f := range list {
		if f.Verdict == Worse || f.Verdict == Better {
			return f.Verdict, f.String()
		}
		if f.Verdict == Noise {
			verdict = Noise
		}
	}
	if verdict == Noise {
		return Noise, "no figure changed by more than recordings of the same load may differ by"
	}
	return Same, "no figure changed"
}

// String words a figure: "held up 1.2 → 4.8 goroutines at any moment".
func (f Figure) String() string {
	return fmt.Sprintf("%s %s → %s %s", f.Name, f.Old, f.New, f.Unit)
}

// String words a spread: "4.8", or "4.8 (4.1 to 5.2 in 5 traces)".
func (s Spread) String() string {
	if s.N < 2 {
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s in %d traces)", number(s.Median), number(s.Min), number(s.Max), s.N)
}

// number writes three digits.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case math.Abs(x) >= 100:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// spread sums up sorted values.
func spread(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	return Spread{Min: v[0], Median: median(v), Max: v[len(v)-1], N: len(v)}
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// compare judges sorted values of two sides; more is worse.
func compare(before, after []float64) Verdict {
	if slices.Equal(before, after) {
		return Same
	}
	if len(before) == 0 || len(after) == 0 {
		return Noise // presence decides, not figures
	}
	m, n := median(before), median(after)
	ratio := max(m, n) / max(min(m, n), math.SmallestNonzeroFloat64)
	apart := before[len(before)-1] < after[0] || after[len(after)-1] < before[0]
	real := false
	switch small := min(len(before), len(after)); {
	case small >= enough:
		real = ratio >= ratioMany && rankTest(before, after) < significance
	case max(len(before), len(after)) > 1:
		real = ratio >= ratioFew && apart
	default:
		real = ratio >= ratioAlone
	}
	switch {
	case !real:
		return Noise
	case n > m:
		return Worse
	}
	return Better
}

// rankTest returns how likely two samples of one population differ in their
// ranks as much as these do, or more, either way (the two-sided U test; exact
// without ties, and by the normal approximation with them or for large samples).
func rankTest(a, b []float64) float64 {
	u, ties := 0.0, false
	for _, x := range a {
		for _, y := range b {
			switch cmp.Compare(x, y) {
			case 1:
				u++
			case 0:
				u += 0.5
				ties = true
			}
		}
	}
	m, n := len(a), len(b)
	u = min(u, float64(m*n)-u)
	if ties || m+n > 40 {
		mean := float64(m*n) / 2
		deviation := math.Sqrt(float64(m*n*(m+n+1)) / 12)
		z := max(0, mean-u-0.5) / deviation
		return math.Erfc(z / math.Sqrt2)
	}
	// ways[k] counts the orders of m and n values in which U is k.
	total, atMost := 0.0, 0.0
	for k, ways := range orders(m, n) {
		total += ways
		if float64(k) <= u {
			atMost += ways
		}
	}
	return min(1, 2*atMost/total)
}

// orders counts, for each k, the orders of m and n values in which k pairs are
// the wrong way round: the coefficients of the Gaussian binomial (m+n choose m).
func orders(m, n int) []float64 {
	ways := make([]float64, m*n+1)
	ways[0] = 1
	for i := 1; i <= m; i++ {
		for k := m * n; k >= n+i; k-- { // times 1 - q^(n+i)
			ways[k] -= ways[k-n-i]
		}
		for k := i; k <= m*n; k++ { // by 1 - q^i
			ways[k] += ways[k-i]
		}
	}
	return ways
}
