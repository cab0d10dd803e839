package smallio

import (
	"fmt"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// From when on there is something to report, see doc.go. Measured on one Linux
// machine of the 2020s while traced: 40 bytes to a file take 0.9 µs, 4 kB 3 µs,
// 64 kB 10 µs and more; 40 bytes to a connection on the same machine 1 to 6 µs,
// and that to one whose reader must be woken up to 16 µs.
const (
	callsFrom    = 500
	shareFrom    = 0.1   // of the rows' time that is spent in calls
	ofTraceFrom  = 0.005 // of the trace's time
	fileAtMost   = 2500 * time.Nanosecond
	netAtMost    = 20 * time.Microsecond
	tinyNet      = 1500 * time.Nanosecond // 16 kB to a connection take longer
	bufferHolds  = 50                     // bits that go into one call afterwards: 80 bytes each, 4 kB
	waitsFrom    = 100                    // one wait for room in so many writes: they are large
	reportableAt = 0.3
)

// Weights on the scale of log odds, see package odds.
const (
	prior           = 0.0
	weightFormatted = 1.5  // values, words or lines
	weightFlushed   = 1.5  // a buffer is there, and is flushed each time
	weightPlain     = 0.4  // its own Write calls: the size is not known
	weightPlainRead = -0.8 // … Read: it may have a large buffer of its own
	weightUnknown   = -0.8
	weightLong      = 0.5  // rows of hundreds
	weightBroadcast = -2.5 // a row may go to as many connections
	weightBlocked   = -1.5
	weightLogging   = -3.0
	weightTesting   = -3.0
)

type verdict struct {
	odds.Sum
	confidence float64
	half       time.Duration // a call takes no longer, half of the time
	saved      time.Duration
}

// judge returns nil where there is nothing to report.
func (o *observer) judge(p *traceload.Program, s *place) *verdict {
	v := &verdict{half: s.lengths.Quantile(0.5)}
	atMost := fileAtMost
	if s.network {
		atMost = netAtMost
	}
	if s.calls < callsFrom || v.half > atMost || s.spent.Seconds() < shareFrom*s.active.Seconds() || s.spent.Seconds() < ofTraceFrom*time.Duration(p.Now).Seconds() {
		return nil
	}
	v.saved = s.spent * (bufferHolds - 1) / bufferHolds
	v.Note(0, "%d %s in %s of 16 or more without a wait in between, %d in the longest", s.calls, s.calling(), detectors.Count(s.rows, "row"), s.longest)
	switch {
	case s.explicit:
		v.Note(weightFlushed, "there is a buffer, and it is flushed each time")
	case s.format != "":
		v.Note(weightFormatted, "%s handles a value, a word or a line at a time", detectors.Short(s.format))
	case s.writes && s.network && v.half > tinyNet:
		v.Note(weightUnknown, "how much goes into each is not known")
	case s.writes:
		v.Note(weightPlain, "half of them took no more than %s: little goes in, most likely", detectors.Duration(v.half))
	default:
		v.Note(weightPlainRead, "how much each may read is not known")
	}
	if s.longest >= 10*rowFrom {
		v.Note(weightLong, "long rows")
	}
	if s.network && s.writes && s.calls <= s.rows*o.peak {
		v.Note(weightBroadcast, "a row has no more writes than goroutines wait for the network (%d): it may go to as many connections", o.peak)
	}
	if s.waits*waitsFrom > s.calls {
		v.Note(weightBlocked, "%d of them had to wait for room, as large ones do", s.waits)
	}
	if s.logging {
		v.Note(weightLogging, "a package for logging writes them, which has reasons not to wait")
	}
	if s.testing {
		v.Note(weightTesting, "a test does it")
	}
	v.confidence = v.Confidence(prior)
	if v.confidence < reportableAt {
		return nil
	}
	return v
}

func (s *place) calling() string {
	switch {
	case s.writes && s.network:
		return "network writes"
	case s.writes:
		return "writes"
	case s.network:
		return "network reads"
	}
	return "reads"
}

// busiest is the stack that most of the calls have.
func (s *place) busiest() (best traceload.StackID) {
	best = s.stack
	for id, n := range s.lines {
		if n > s.lines[best] || n == s.lines[best] && id < best {
			best = id
		}
	}
	return best
}

func (o *observer) finding(p *traceload.Program, s *place, v *verdict) detectors.Finding {
	stack := s.busiest()
	site := detectors.SiteOf(p, stack)
	f := detectors.Finding{
		Cause: "syscall", Effect: detectors.EffectWastes, Confidence: v.confidence, Evidence: v.Evidence, Site: site, Active: s.active,
		Impact:  detectors.Impact{Goroutines: s.goroutines.Len(), Blocked: v.saved, Occurrences: s.calls},
		WrongIf: "each bit must be out (or in) before the next is made, or is large already: the trace does not tell sizes",
		Groups: []detectors.Group{{
			Role: detectors.Worker, Count: s.goroutines.Len(), Goroutines: s.goroutines.IDs(), State: traceload.StateSyscall.String(), Stack: detectors.StackOf(p, stack),
		}},
		Estimate: &detectors.Estimate{
			CPU: v.saved, Syscalls: s.calls - s.calls/bufferHolds,
			Text: fmt.Sprintf("A buffer that holds %d of them leaves one call in %d. What the calls took is measured, up to %s each, and includes the tracer's own part, some 0.3µs.",
				bufferHolds, bufferHolds, detectors.Duration(callAtMost)),
		},
	}
	if s.network {
		f.Cause = "network"
	}
	verb, object := "writes", "to a file"
	if !s.writes {
		verb, object = "reads", "from a file"
		f.Repair = readRepair
	}
	if s.network {
		object = strings.Replace(object, "a file", "a connection", 1)
	}
	f.Title = fmt.Sprintf("%s %s %s in small bits, %d system calls in a row", detectors.Short(site.Func), verb, object, s.calls/s.rows)
	share := s.spent.Seconds() / s.active.Seconds()
	f.Detail = fmt.Sprintf("At %s, %s made %d %s in %s without waiting for anything in between; half of them took no more than %s. "+
		"While that went on, %s in all, %.0f%% of the time (%s) went into these calls.",
		site.Where(), detectors.Short(site.Func), s.calls, s.calling(), detectors.Count(s.rows, "row"), detectors.Duration(v.half),
		detectors.Duration(s.active), 100*share, detectors.Duration(s.spent))
	if s.network && s.writes {
		f.Detail += " Each may also leave as a packet of its own, and wake the reader for it."
	}
	if s.explicit {
		f.Detail += " There is a buffer already: it is the flush after each bit that makes the call."
	}
	f.Timeline = []detectors.TimelineEvent{
		{T: s.first, Goroutine: int64(s.goroutines.First()), Event: "began", Text: "the first row of system calls begins at " + site.Where()},
		{T: s.lastAt, Goroutine: int64(s.last), Event: "ended", Text: "the last row in the trace ends"},
	}
	return f
}
