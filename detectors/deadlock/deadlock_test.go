package deadlock_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/deadlock"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, deadlock.Detector) }
