package schedulerlatency_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/schedulerlatency"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, schedulerlatency.Detector) }
