package goroutinegrowth_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/goroutinegrowth"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, goroutinegrowth.Detector) }
