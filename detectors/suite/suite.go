// Package suite is the list of all detectors, and nothing else.
package suite

import (
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/cancelignored"
	"github.com/tracedoc/tracedoc/detectors/cancelneverfired"
	"github.com/tracedoc/tracedoc/detectors/chattyhandoff"
	"github.com/tracedoc/tracedoc/detectors/deadlock"
	"github.com/tracedoc/tracedoc/detectors/fanoutrunson"
	"github.com/tracedoc/tracedoc/detectors/goroutinegrowth"
	"github.com/tracedoc/tracedoc/detectors/goroutineleak"
	"github.com/tracedoc/tracedoc/detectors/headofline"
	"github.com/tracedoc/tracedoc/detectors/lockcontention"
	"github.com/tracedoc/tracedoc/detectors/lockheldwhileblocked"
	"github.com/tracedoc/tracedoc/detectors/longrun"
	"github.com/tracedoc/tracedoc/detectors/schedulerlatency"
	"github.com/tracedoc/tracedoc/detectors/serialwaits"
	"github.com/tracedoc/tracedoc/detectors/smallio"
	"github.com/tracedoc/tracedoc/detectors/timeoutabandonswork"
	"github.com/tracedoc/tracedoc/detectors/timeoutfired"
	"github.com/tracedoc/tracedoc/detectors/timerchurn"
	"github.com/tracedoc/tracedoc/detectors/tinygoroutines"
	"github.com/tracedoc/tracedoc/detectors/waitunbounded"
)

// All returns all detectors, sorted by name.
func All() []*detectors.Detector {
	return []*detectors.Detector{
		cancelignored.Detector,
		cancelneverfired.Detector,
		chattyhandoff.Detector,
		deadlock.Detector,
		fanoutrunson.Detector,
		goroutinegrowth.Detector,
		goroutineleak.Detector,
		headofline.Detector,
		lockcontention.Detector,
		lockheldwhileblocked.Detector,
		longrun.Detector,
		schedulerlatency.Detector,
		serialwaits.Detector,
		smallio.Detector,
		timeoutabandonswork.Detector,
		timeoutfired.Detector,
		timerchurn.Detector,
		tinygoroutines.Detector,
		waitunbounded.Detector,
	}
}
