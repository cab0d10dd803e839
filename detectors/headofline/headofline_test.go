package headofline_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/headofline"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, headofline.Detector) }
