package detectors

import (
	"fmt"
	"testing"

	"github.com/tracedoc/tracedoc/traceload"
)

func TestDeal(t *testing.T) {
	all := traceload.KindSet(traceload.KindBlock, traceload.KindUnblock, traceload.KindStart)
	e := func(name string, users ...*entry) *entry { return &entry{name: name, watches: all, users: users} }
	one, two, three, four, five := e("one"), e("two"), e("three"), e("four"), e("five")
	low := e("low", two)          // a fact on which two builds
	high := e("high", low, three) // one on which that and three build
	entries := []*entry{one, high, low, two, three, four, five}
	for n := 1; n < 9; n++ {
		lanes := deal(entries, n)
		if len(lanes) != min(n, 4) { // one, four, five, and all that have to do with facts
			t.Errorf("%d lanes of %d", len(lanes), n)
		}
		for _, x := range []*entry{low, two, three} {
			if x.lane != high.lane {
				t.Errorf("%d lanes: %s is not with the fact it needs", n, x.name)
			}
		}
		times := map[string]int{}
		weights := ""
		for _, l := range lanes {
			weights += fmt.Sprint(" ", l.weight)
			seen := map[*entry]bool{}
			for _, x := range l.all {
				times[x.name]++
				seen[x] = true
				if x == low && !seen[high] || (x == two || x == three) && !seen[high] || x == two && !seen[low] {
					t.Errorf("%d lanes: %s is fed before the fact it needs", n, x.name)
				}
			}
		}
		for _, x := range entries {
			if times[x.name] != 1 {
				t.Errorf("%d lanes: %s is fed %d times", n, x.name, times[x.name])
			}
		}
		if n == 2 && weights != " 16 12" {
			t.Errorf("two lanes have weights%s", weights)
		}
	}
}

func TestDealNobody(t *testing.T) {
	if lanes := deal(nil, 4); len(lanes) != 1 {
		t.Errorf("%d lanes for nobody, want one that walks", len(lanes))
	}
}
