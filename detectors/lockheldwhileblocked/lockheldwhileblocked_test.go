package lockheldwhileblocked_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
	"github.com/tracedoc/tracedoc/detectors/lockheldwhileblocked"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, lockheldwhileblocked.Detector) }
