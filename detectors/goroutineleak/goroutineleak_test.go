package goroutineleak_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/goroutineleak"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, goroutineleak.Detector) }
