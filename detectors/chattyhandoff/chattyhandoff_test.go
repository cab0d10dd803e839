package chattyhandoff_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/chattyhandoff"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, chattyhandoff.Detector) }
