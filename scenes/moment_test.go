package scenes_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/scenes"
	"github.com/tracedoc/tracedoc/traceload"
)

// Whatever time is asked for, the goroutines are those that another walk, with
// a list of what each of them did, finds at that time.
func TestAt(t *testing.T) {
	for _, name := range []string{"deadlock-lock-order/defect/go1.26.trace.zst", "goroutine-leak-chan-send/defect/go1.26.late.trace.zst", "goroutine-growth-burst/defect/go1.26.trace.zst", "lock-contention-convoy/defect/go1.22.trace.zst"} {
		path := filepath.Join(fixtures, filepath.FromSlash(name))
		length := time.Duration(0)
		_, info, err := traceload.Walk(open(t, path), func(*traceload.Program, *traceload.Event) {}, nil)
		if err != nil {
			t.Fatal(err)
		}
		length = info.Duration
		for _, at := range []time.Duration{0, 1, length / 3, length / 2, length - 1, length} {
			m, err := scenes.At(open(t, path), at, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, sum := map[string]int{}, 0
			for i, c := range m.Crowds {
				got[c.State+" "+c.Reason] += c.Count
				sum += c.Count
				if c.Count < 1 || i > 0 && c.Count > m.Crowds[i-1].Count || len(c.Goroutines) > 16 || len(c.Goroutines) > c.Count || c.Shortest > c.Longest || c.Shortest < 0 || c.Longest > at || c.Stay > c.Count {
					t.Errorf("%s at %v: %+v", name, at, c)
				}
				if at == length && c.Stay != c.Count {
					t.Errorf("%s: %d of %d stay at the end", name, c.Stay, c.Count)
				}
			}
			want := statesAt(t, path, traceload.Time(at))
			if fmt.Sprint(got) != fmt.Sprint(want) || sum != m.Goroutines {
				t.Errorf("%s at %v: %d goroutines, %v; want %v", name, at, m.Goroutines, got, want)
			}
		}
		if _, err := scenes.At(open(t, path), length+1, nil); err == nil || !strings.Contains(err.Error(), "long: give a time before that") {
			t.Errorf("after the end: error %v", err)
		}
	}
}

// statesAt counts goroutines by what they did at a time, from all stays of all
// of them.
func statesAt(t *testing.T, path string, at traceload.Time) map[string]int {
	t.Helper()
	type stay struct {
		what     string
		from, to traceload.Time
	}
	stays := map[traceload.GoID][]stay{}
	own := map[traceload.GoID]bool{} // the runtime's
	note := func(p *traceload.Program, g *traceload.Goroutine, state traceload.State, reason traceload.StringID, from, to traceload.Time) {
		what := state.String() + " "
		if state == traceload.StateWaiting {
			what += p.String(reason)
		}
		stays[g.ID] = append(stays[g.ID], stay{what, from, to})
		own[g.ID] = own[g.ID] || g.System || p.Stack(g.Entry).System
	}
	p, _, err := traceload.Walk(open(t, path), func(p *traceload.Program, ev *traceload.Event) {
		if ev.Kind <= traceload.KindEnd && ev.From != traceload.StateUnknown && ev.From != traceload.StateEnded {
			note(p, ev.G, ev.From, ev.Reason, ev.Time-traceload.Time(ev.Lived), ev.Time)
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for g := range p.Live {
		note(p, g, g.State, g.Reason, g.Since, p.Now+1)
	}
	counts := map[string]int{}
	for id, list := range stays {
		for _, s := range list {
			if !own[id] && s.from <= at && at < s.to {
				counts[s.what]++
			}
		}
	}
	return counts
}
