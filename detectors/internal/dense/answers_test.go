package dense

import (
	"testing"

	"github.com/tracedoc/tracedoc/traceload"
)

func TestAnswers(t *testing.T) {
	var answers Answers
	asked := map[traceload.StackID]int{}
	even := func(_ *traceload.Program, id traceload.StackID) bool {
		asked[id]++
		return id%2 == 0
	}
	for range 3 {
		for _, id := range []traceload.StackID{0, 7, 300} {
			if answers.No(id) != (asked[id] > 0 && id%2 != 0) {
				t.Errorf("stack %d, asked %d times: known to be no is %v", id, asked[id], answers.No(id))
			}
			if got := answers.Of(nil, id, even); got != (id%2 == 0) {
				t.Errorf("stack %d: %v", id, got)
			}
		}
	}
	for id, n := range asked {
		if n != 1 {
			t.Errorf("asked %d times for stack %d, want once", n, id)
		}
	}
	if len(asked) != 3 {
		t.Errorf("asked for %d stacks, want 3", len(asked))
	}
}
