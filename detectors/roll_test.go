package detectors

import (
	"slices"
	"testing"

	"github.com/tracedoc/tracedoc/traceload"
)

func TestRoll(t *testing.T) {
	roll := func(from, to traceload.GoID) *Roll {
		r := new(Roll)
		for id := from; id <= to; id++ {
			r.Note(id)
		}
		return r
	}
	if r := new(Roll); r.Len() != 0 || r.IDs() != nil || r.Has(0) {
		t.Errorf("nobody: %d, %v", r.Len(), r.IDs())
	}
	for _, tt := range []struct {
		name string
		roll *Roll
		note []traceload.GoID
		with *Roll
		n    int
		ids  []int64
	}{
		{"one twice", roll(3, 4), []traceload.GoID{3, 4, 3}, nil, 2, []int64{3, 4}},
		{"as many as are listed", roll(1, MaxGroupIDs), []traceload.GoID{1, MaxGroupIDs}, nil, MaxGroupIDs, roll(1, MaxGroupIDs).IDs()},
		{"beyond, and again", roll(1, MaxGroupIDs), []traceload.GoID{90, 90, 5}, nil, MaxGroupIDs + 1, roll(1, MaxGroupIDs).IDs()},
		{"with another", roll(1, 2), nil, roll(2, 3), 3, []int64{1, 2, 3}},
		{"with a long one", roll(1, 1), nil, roll(2, 30), 30, roll(1, MaxGroupIDs).IDs()},
	} {
		for _, id := range tt.note {
			tt.roll.Note(id)
		}
		if tt.with != nil {
			tt.roll.Merge(tt.with)
		}
		if tt.roll.Len() != tt.n || !slices.Equal(tt.roll.IDs(), tt.ids) {
			t.Errorf("%s: %d, %v, want %d, %v", tt.name, tt.roll.Len(), tt.roll.IDs(), tt.n, tt.ids)
		}
	}
}

// TestRollOfMany: of more than are listed it is told how many there are, in whatever order they
// come, and however often; of very many those count again that came late.
func TestRollOfMany(t *testing.T) {
	const told = MaxGroupIDs + rollMost
	for _, tt := range []struct{ n, rounds, want int }{
		{17, 5, 17}, {1000, 5, 1000}, {told, 2, told}, {told + 100, 1, told + 100}, {told + 100, 2, told + 200},
	} {
		var r Roll
		for range tt.rounds {
			for i := range tt.n {
				r.Note(traceload.GoID(1 + i*7919%tt.n))
			}
		}
		if r.Len() != tt.want {
			t.Errorf("%d, %d times: %d, want %d", tt.n, tt.rounds, r.Len(), tt.want)
		}
	}
}
