package fanoutrunson_test

import (
	"testing"

	"github.com/tracedoc/tracedoc/detectors/fanoutrunson"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, fanoutrunson.Detector) }
