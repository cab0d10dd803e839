package longrun_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/longrun"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, longrun.Detector) }
