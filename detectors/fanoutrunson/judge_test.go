package fanoutrunson

import (
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

const (
	ms = time.Millisecond

	uses    = traceload.FrameID(7) // what the parent does with the results
	asks    = traceload.FrameID(5) // where children wait last …
	refuses = traceload.FrameID(6) // … that fail
)

// rounds returns n rounds of four children that take 20 ms; the first ends after
// the time first, if that is not zero, and waited last at another line then.
func rounds(n int, first time.Duration, used bool) (list []round) {
	for range n {
		r := round{children: 4, joined: traceload.Time(20 * ms)}
		for i := range 4 {
			k := kid{id: traceload.GoID(i + 1), end: traceload.Time(20 * ms), cpu: ms, last: asks}
			if i == 0 && first > 0 {
				k.end, k.last = traceload.Time(first), refuses
			}
			r.kids = append(r.kids, k)
		}
		if used {
			r.sites[0], r.nsites = uses, 1
		}
		list = append(list, r)
	}
	return list
}

func TestStudy(t *testing.T) {
	tests := []struct {
		name   string
		rounds [][]round
		want   bool
	}{
		{"results are dropped after a child ended early", [][]round{rounds(20, 0, true), rounds(5, ms, false)}, true},
		{"nobody fails", [][]round{rounds(25, 0, true)}, false},
		{"all fail", [][]round{rounds(25, ms, false)}, false},
		{"the results are used all the same", [][]round{rounds(20, 0, true), rounds(5, ms, true)}, false},
		{"results are dropped without anybody ending early", [][]round{rounds(20, 0, true), rounds(5, 0, false)}, false},
		{"one of them is always quick", [][]round{rounds(20, ms, true), rounds(5, ms, false)}, false},
		{"the failure comes last", [][]round{rounds(20, 0, true), rounds(25, 19500*time.Microsecond, false)}, false},
		{"mostly dropped for another reason", [][]round{rounds(95, 0, true), rounds(4, ms, false), rounds(5, 0, false)}, false},

		// Thresholds, from both sides.
		{"three failures", [][]round{rounds(20, 0, true), rounds(3, ms, false)}, true},
		{"two failures", [][]round{rounds(20, 0, true), rounds(2, ms, false)}, false},
		{"five rounds that are used", [][]round{rounds(5, 0, true), rounds(3, ms, false)}, true},
		{"four rounds that are used", [][]round{rounds(4, 0, true), rounds(4, ms, false)}, false},
		{"over 20 ms", [][]round{rounds(20, 0, true), rounds(5, 15900*time.Microsecond, false)}, true},
		{"under 20 ms", [][]round{rounds(20, 0, true), rounds(5, 16100*time.Microsecond, false)}, false},
		{"1 ms each", [][]round{rounds(40, 0, true), rounds(20, 19*ms, false)}, true},
		{"less than 1 ms each", [][]round{rounds(40, 0, true), rounds(30, 19*ms+1, false)}, false},
		{"dropped for another reason in a fifth of the cases", [][]round{rounds(50, 0, true), rounds(8, ms, false), rounds(2, 0, false)}, true},
		{"dropped for another reason more often", [][]round{rounds(50, 0, true), rounds(7, ms, false), rounds(2, 0, false)}, false},
		{"used in nine of ten rounds without a failure", [][]round{rounds(90, 0, true), rounds(40, ms, false), rounds(10, 0, false)}, true},
		{"used less often than that", [][]round{rounds(89, 0, true), rounds(44, ms, false), rounds(11, 0, false)}, false},
		{"used in 35 of 100 rounds with a quick one", [][]round{rounds(105, 0, true), rounds(35, ms, true), rounds(65, ms, false)}, true},
		{"used more often than that", [][]round{rounds(108, 0, true), rounds(36, ms, true), rounds(64, ms, false)}, false},
		{"a quarter of those that are used had a quick one", [][]round{rounds(15, 0, true), rounds(5, ms, true), rounds(20, ms, false)}, true},
		{"more of those that are used had a quick one", [][]round{rounds(14, 0, true), rounds(6, ms, true), rounds(20, ms, false)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fan{}
			for _, list := range tt.rounds {
				f.rounds = append(f.rounds, list...)
			}
			for _, r := range f.rounds {
				for _, k := range r.kids {
					f.ended(k.last)
				}
			}
			v := f.study()
			if (v != nil) != tt.want {
				t.Fatalf("%+v, want something: %v", v, tt.want)
			}
			if v != nil && (v.use != uses || v.failSite != refuses || v.byPath != v.failed || v.siblings != 3*v.failed || v.lost < 20*ms) {
				t.Errorf("%+v", v)
			}
		})
	}
}
