package waitgraph

import (
	"slices"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// TestExample: of several locks of one kind it is not known who holds which. Then a circle is an
// example, rather one of different lines, and stands for all who may be in it.
func TestExample(t *testing.T) {
	accounts, single := &Lock{key: "Account.mu"}, &Lock{key: "Bank.mu", Single: true}
	node := func(id traceload.GoID, line int, waits, holds *Lock, proof Proof) *Node {
		return &Node{
			G: traceload.Goroutine{ID: id, Since: traceload.Time(id)}, Wait: traceload.WaitMutex, Site: detectors.Frame{Line: line},
			For: waits, Holds: []Hold{{Lock: holds, Proof: proof}},
		}
	}
	one, two := node(1, 44, accounts, accounts, BySource), node(2, 44, accounts, accounts, BySource)
	other := node(3, 68, accounts, accounts, BySource)
	guessed := node(4, 68, accounts, accounts, ByPlace)
	bank, account := node(5, 10, single, accounts, BySource), node(6, 20, accounts, single, BySource)
	for _, tt := range []struct {
		name                          string
		starts, cycle, example, among []*Node
	}{
		{"two, and nobody else", []*Node{one, two}, []*Node{two, one}, []*Node{two, one}, nil},
		{"one that waits elsewhere", []*Node{one, two, other}, []*Node{two, one}, []*Node{other, one}, []*Node{one, two, other}},
		{"one that waits elsewhere already", []*Node{one, two, other}, []*Node{other, two}, []*Node{other, two}, []*Node{one, two, other}},
		{"one of whom it is not proved", []*Node{one, two, guessed}, []*Node{two, one}, []*Node{two, one}, nil},
		{"locks of two kinds", []*Node{bank, account, one}, []*Node{account, bank}, []*Node{account, bank}, nil},
	} {
		g := &graph{starts: tt.starts}
		example, among := g.example(tt.cycle)
		if !slices.Equal(example, tt.example) || !slices.Equal(among, tt.among) {
			t.Errorf("%s: %v, among %d", tt.name, ids(example), len(among))
		}
	}
}

func ids(nodes []*Node) (list []traceload.GoID) {
	for _, n := range nodes {
		list = append(list, n.G.ID)
	}
	return list
}
