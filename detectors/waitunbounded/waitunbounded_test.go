package waitunbounded_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/waitunbounded"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, waitunbounded.Detector) }
