package tinygoroutines_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/tinygoroutines"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, tinygoroutines.Detector) }
