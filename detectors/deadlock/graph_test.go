package deadlock

import (
	"reflect"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waitgraph"
	"github.com/tracedoc/tracedoc/traceload"
)

func TestGraph(t *testing.T) {
	a, b, lost := &waitgraph.Lock{Name: "A.mu"}, &waitgraph.Lock{Name: "B.mu"}, &waitgraph.Lock{Name: "C.mu"}
	at := func(line int) detectors.Frame { return detectors.Frame{Func: "main.f", File: "f.go", Line: line} }
	node := func(id traceload.GoID, line int, waits *waitgraph.Lock, holds ...*waitgraph.Lock) *waitgraph.Node {
		n := &waitgraph.Node{G: traceload.Goroutine{ID: id}, Site: at(line), For: waits}
		for _, l := range holds {
			n.Holds = append(n.Holds, waitgraph.Hold{Lock: l})
		}
		return n
	}
	tests := []struct {
		name string
		knot waitgraph.Knot
		want []detectors.WaitNode
	}{
		{"a circle of two, and three behind", waitgraph.Knot{
			Cycle:  []*waitgraph.Node{node(1, 10, b, a), node(2, 20, a, b)},
			Locks:  []*waitgraph.Lock{b, a},
			Behind: []*waitgraph.Node{node(3, 30, a), node(4, 40, b), node(5, 30, a)},
		}, []detectors.WaitNode{
			{Goroutine: 1, Count: 1, Site: at(10), Holds: []string{"A.mu"}, Waits: "waits for B.mu at f.go:10", For: 1},
			{Goroutine: 2, Count: 1, Site: at(20), Holds: []string{"B.mu"}, Waits: "waits for A.mu at f.go:20", For: 0},
			{Goroutine: 3, Count: 2, Site: at(30), Waits: "waits for A.mu at f.go:30", For: 0},
			{Goroutine: 4, Count: 1, Site: at(40), Waits: "waits for B.mu at f.go:40", For: 1},
		}},
		{"a goroutine that waits for itself", waitgraph.Knot{
			Cycle: []*waitgraph.Node{node(1, 10, a, a)}, Locks: []*waitgraph.Lock{a},
		}, []detectors.WaitNode{
			{Goroutine: 1, Count: 1, Site: at(10), Holds: []string{"A.mu"}, Waits: "waits for A.mu at f.go:10", For: 0},
		}},
		{"nobody holds it", waitgraph.Knot{
			Locks: []*waitgraph.Lock{lost}, Behind: []*waitgraph.Node{node(7, 70, lost), node(8, 70, lost)},
		}, []detectors.WaitNode{
			{Goroutine: 7, Count: 2, Site: at(70), Waits: "waits for C.mu at f.go:70", For: -1},
		}},
	}
	for _, test := range tests {
		if got := graph(&test.knot); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}
