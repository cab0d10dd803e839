package timerchurn_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/timerchurn"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, timerchurn.Detector) }
