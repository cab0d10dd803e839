package odds

import (
	"math"
	"testing"
)

func TestConfidence(t *testing.T) {
	tests := []struct {
		prior   float64
		weights []float64
		want    float64
	}{
		{0, nil, 0.5},
		{-1.5, []float64{1.5}, 0.5},
		{0, []float64{math.Log(3)}, 0.75},
		{-1, []float64{1 - math.Log(9)}, 0.1},
	}
	for _, tt := range tests {
		var s Sum
		for i, w := range tt.weights {
			s.Note(w, "observation %d", i)
		}
		if got := s.Confidence(tt.prior); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("prior %v and %v give %v, want %v", tt.prior, tt.weights, got, tt.want)
		}
		if len(s.Evidence) != len(tt.weights) {
			t.Errorf("%d pieces of evidence, want %d", len(s.Evidence), len(tt.weights))
		}
	}
}
