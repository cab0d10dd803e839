package lockcontention_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/lockcontention"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, lockcontention.Detector) }
