package tracetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
)

// Option changes what Check and Main do.
type Option func(*config) error

// config is what the options of one check amount to.
type config struct {
	failOn        detectors.Severity
	minConfidence float64
	only, skip    []string
	ignores       []ignore
	grace         time.Duration
	keep          string // folder for the traces of tests that pass, too; "" for none

	list []*detectors.Detector // that only and skip leave
}

// leftBehind are the detectors of what a test must not leave behind.
var leftBehind = []string{"cancel-never-fired", "deadlock", "goroutine-growth", "goroutine-leak"}

func newConfig(opts []Option) (*config, error) {
	c := &config{failOn: detectors.Medium, minConfidence: 0.5, grace: time.Second}
	for _, o := range opts {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	only := c.only
	if len(only) == 0 {
		only = leftBehind
	}
	var err error
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
	return func(c *config) (err error) {
		c.failOn, err = detectors.ParseSeverity(severity)
		return err
	}
}

// MinConfidence leaves out findings that are less sure than this, from 0 to 1,
// instead of 0.5.
func MinConfidence(confidence float64) Option {
	return func(c *config) error {
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
	return func(c *config) error {
		c.only = append(c.only, names...)
		return nil
	}
}

// Skip does not use these detectors or families.
func Skip(names ...string) Option {
	return func(c *config) error {
		c.skip = append(c.skip, names...)
		return nil
	}
}

// Grace is how long Check waits for the test's goroutines to end after the test,
// instead of a second. It does not wait if there are none left.
func Grace(d time.Duration) Option {
	return func(c *config) error {
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
	return func(c *config) error {
		c.keep = dir
		return nil
	}
}

// Ignore leaves out findings of this detector ("" for any) in which a goroutine
// has, anywhere on its stacks or as its creator, a function that the pattern
// matches: a name as in "example.com/app/cache.(*Cache).janitor", in which *
// stands for anything. The reason is for those who read the test.
func Ignore(detector, function, reason string) Option {
	return func(c *config) error {
		if function == "" || reason == "" {
			return fmt.Errorf("Ignore(%q, %q, %q): a function and a reason are needed", detector, function, reason)
		}
		if detector != "" && !slices.ContainsFunc(suite.All(), func(d *detectors.Detector) bool { return d.Name == detector }) {
			return fmt.Errorf("Ignore(%q, …): there is no such detector", detector)
		}
		c.ignores = append(c.ignores, ignore{detector, strings.Split(function, "*")})
		return nil
	}
}

// ignore leaves out findings.
type ignore struct {
	detector string   // "" for any
	pieces   []string // of a function's name, what stands between the stars
}

func (ig *ignore) covers(f *detectors.Finding) bool {
	if ig.detector != "" && ig.detector != f.Detector {
		return false
	}
	if ig.matches(f.Site.Func) {
		return true
	}
	return slices.ContainsFunc(f.Groups, func(g detectors.Group) bool {
		return ig.matches(g.Entry) || ig.matches(g.CreatedBy.Func) ||
			slices.ContainsFunc(g.Stack, func(fr detectors.Frame) bool { return ig.matches(fr.Func) })
	})
}

func (ig *ignore) matches(fn string) bool {
	last := len(ig.pieces) - 1
	if last == 0 {
		return fn == ig.pieces[0]
	}
	fn, ok := strings.CutPrefix(fn, ig.pieces[0])
	if !ok {
		return false
	}
	for _, piece := range ig.pieces[1:last] {
		if _, fn, ok = strings.Cut(fn, piece); !ok {
			return false
		}
	}
	return strings.HasSuffix(fn, ig.pieces[last])
}
