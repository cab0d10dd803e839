package serialwaits_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/serialwaits"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, serialwaits.Detector) }
