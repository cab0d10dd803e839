package cancelneverfired_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/cancelneverfired"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, cancelneverfired.Detector) }
