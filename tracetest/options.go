package tracetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tracedoc/tracedoc/config"
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/gate"
)

// Option changes what Check and Main do.
type Option func(*options) error

// options is what the options of one check amount to.
type options struct {
	failOn        detectors.Severity
	minConfidence float64
	only, skip    []string
	policy        gate.Policy // of .tracedoc.yaml, and Ignore's
	grace         time.Duration
	keep          string // folder for the traces of tests that pass, too; "" for none

	list  []*detectors.Detector // that only and skip leave
	known []detectors.KnownWait
}

// leftBehind are the detectors of what a test must not leave behind.
var leftBehind = []string{"cancel-ignored", "cancel-never-fired", "deadlock", "goroutine-growth", "goroutine-leak"}

// configured reads the nearest .tracedoc.yaml, once.
var configured = sync.OnceValues(func() (*config.Config, error) {
	return config.Find(".", config.Names{Detectors: suite.All()})
})

func newOptions(opts []Option) (*options, error) {
	file, err := configured()
	if err != nil {
		return nil, err
	}
	c := &options{failOn: detectors.Medium, minConfidence: 0.5, grace: time.Second, policy: file.Policy(), known: file.KnownWaits}
	c.policy.Ignores = slices.Clip(c.policy.Ignores) // the file's own are for all tests
	for _, o := range opts {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	only := c.only
	if len(only) == 0 {
		only = leftBehind
	}
	c.list, err = detectors.Select(suite.All(), only, c.skip)
	if err != nil {
		return nil, err
	}
	if len(c.list) == 0 {
		return nil, fmt.Errorf("Only and Skip leave no detector")
	}
	return c, nil
}

// FailOn makes findings of this severity and above fail the test, instead of
// those from medium on: "info", "low", "medium", "high" or "critical".
func FailOn(severity string) Option {
	return func(c *options) (err error) {
		c.failOn, err = detectors.ParseSeverity(severity)
		return err
	}
}

// MinConfidence leaves out findings that are less sure than this, from 0 to 1,
// instead of 0.5.
func MinConfidence(confidence float64) Option {
	return func(c *options) error {
		if !(confidence >= 0 && confidence <= 1) { // NaN is neither
			return fmt.Errorf("MinConfidence(%v): must be a number from 0 to 1", confidence)
		}
		c.minConfidence = confidence
		return nil
	}
}

// Only uses just these detectors, named as tracedoc's command line does, or
// families of them ("locks", "growth", …), in place of the usual ones.
func Only(names ...string) Option {
	return func(c *options) error {
		c.only = append(c.only, names...)
		return nil
	}
}

// Skip does not use these detectors or families.
func Skip(names ...string) Option {
	return func(c *options) error {
		c.skip = append(c.skip, names...)
		return nil
	}
}

// Grace is how long Check waits for the test's goroutines to end after the test,
// instead of a second. It does not wait if there are none left.
func Grace(d time.Duration) Option {
	return func(c *options) error {
		if d < 0 {
			return fmt.Errorf("Grace(%v): must not be negative", d)
		}
		c.grace = d
		return nil
	}
}

// KeepTraces writes the trace of every test that is checked into this folder,
// also of those that pass.
func KeepTraces(dir string) Option {
	return func(c *options) error {
		c.keep = dir
		return nil
	}
}

// Ignore leaves out findings of a detector, a family, or "detector/cause" ("" for
// any) in which a function that the pattern matches plays any part: a name such as
// "(*Cache).janitor" or "example.com/app/cache.(*Cache).janitor", in which * stands
// for anything. The reason is for those who read the test. What all tests are to
// ignore belongs in .tracedoc.yaml, which is read too.
func Ignore(detector, function, reason string) Option {
	return func(c *options) error {
		if function == "" || reason == "" {
			return fmt.Errorf("Ignore(%q, %q, %q): a function and a reason are needed", detector, function, reason)
		}
		if detector != "" {
			name, cause, _ := strings.Cut(detector, "/")
			list, err := detectors.Select(suite.All(), []string{name}, nil)
			if err != nil {
				return fmt.Errorf("Ignore(%q, …): %w", detector, err)
			}
			if _, ok := list[0].Cause(cause); cause != "" && !ok {
				return fmt.Errorf("Ignore(%q, …): %s has no such cause", detector, name)
			}
		}
		c.policy.Ignores = append(c.policy.Ignores, gate.Ignore{Detector: detector, Func: function, Reason: reason})
		return nil
	}
}
