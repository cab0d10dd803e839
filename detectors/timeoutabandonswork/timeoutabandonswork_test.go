package timeoutabandonswork_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/timeoutabandonswork"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, timeoutabandonswork.Detector) }
