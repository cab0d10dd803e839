// Package odds adds up evidence for and against a defect.
package odds

import (
	"fmt"
	"math"

	"github.com/tracedoc/tracedoc/detectors"
)

// Sum is a judgement in the making, on the scale of log odds: a weight of 1
// makes the defect 2.7 times as likely as before, 3 makes it 20 times as likely,
// negative weights speak against it. The zero Sum holds no evidence.
type Sum struct {
	Evidence []detectors.Evidence
}

// Note adds one observation; it is shown to the user.
func (s *Sum) Note(weight float64, format string, args ...any) {
	s.Evidence = append(s.Evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

// Confidence is how sure all that makes one of the defect, in (0, 1). prior is
// how likely it is, in log odds, before anything has been seen.
func (s *Sum) Confidence(prior float64) float64 {
	for _, e := range s.Evidence {
		prior += e.Weight
	}
	return 1 / (1 + math.Exp(-prior))
}
