package suite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/source"
)

// TestSourceElsewhere: who looks for source and finds none of the program's is told what is
// told without any: no more, and as sure.
func TestSourceElsewhere(t *testing.T) {
	traces, err := filepath.Glob("../../fixtures/*/*/go1.26.trace.zst")
	if err != nil || len(traces) < 100 {
		t.Fatalf("%d traces: %v", len(traces), err)
	}
	if testing.Short() {
		traces = slices.Collect(func(yield func(string) bool) {
			for i := 0; i < len(traces) && yield(traces[i]); i += 10 {
			}
		})
	}
	for _, trace := range traces {
		empty, err := source.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		without := told(detectortest.Analyze(t, trace, nil, suite.All()...))
		if elsewhere := told(detectortest.Analyze(t, trace, empty, suite.All()...)); !slices.Equal(without, elsewhere) {
			t.Errorf("%s: with source that is not the program's\n%v\nwithout\n%v", trace, elsewhere, without)
		}
	}
}

// told is what a report says, and how sure.
func told(rep *detectors.Report) (list []string) {
	for _, f := range rep.Findings {
		list = append(list, fmt.Sprintf("%s %s %s %s %.3f", f.Detector, f.Cause, f.Severity, f.Site.Where(), f.Confidence))
	}
	return list
}
