package smallio_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/smallio"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, smallio.Detector) }
