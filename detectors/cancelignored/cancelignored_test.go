package cancelignored_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/cancelignored"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, cancelignored.Detector) }
