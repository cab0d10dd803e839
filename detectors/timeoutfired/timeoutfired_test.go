package timeoutfired_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/timeoutfired"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, timeoutfired.Detector) }
