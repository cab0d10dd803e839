package tracetest

import (
	"sync"
	"testing"
	"time"
)

// Check judges what the test's goroutines do from now on until the test and its
// cleanups are over, and fails the test if there is something to find. Call it
// first, so that cleanups registered later run before it judges; with
// testing/synctest call it outside the bubble. A second call in the same test
// does nothing. Where no trace can be recorded it says so in the test's log, and
// the test goes on without.
func Check(t testing.TB, opts ...Option) {
	t.Helper()
	cfg, err := newOptions(opts)
	if err != nil {
		t.Fatalf("tracetest.Check: %v", err)
	}
	c := &check{t: t, name: t.Name(), options: cfg}
	if !running.add(c) {
		return
	}
	if file := goTestTrace(); file != "" {
		t.Logf("tracetest: steps aside, since go test -trace records this run; to judge it: tracedoc analyze %s", file)
		mark("begin", c.name)
		t.Cleanup(func() {
			mark("end", c.name)
			running.remove(c)
		})
		return
	}
	if err := shared.join(); err != nil {
		running.remove(c)
		t.Logf("tracetest: steps aside: %v", err)
		return
	}
	mark("begin", c.name)
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := d.Deadline(); ok {
			watchChecks(deadline)
		}
	}
	t.Cleanup(c.finish)
}

// check is one checked test.
type check struct {
	*options
	t    testing.TB
	name string
}

func (c *check) finish() {
	c.t.Helper()
	defer shared.leave()
	defer running.remove(c)
	mark("end", c.name)
	if c.t.Skipped() {
		return
	}
	data, err := shared.settle(c.name, c.grace)
	if err != nil {
		c.t.Logf("tracetest: the test could not be judged: %v", err)
		return
	}
	if c.keep != "" {
		c.t.Logf("tracetest: %s", keep(c.keep, c.name, data))
	}
	rep, err := c.judge(data, c.name)
	if err != nil {
		c.t.Logf("tracetest: the test could not be judged: %v", err)
		return
	}
	if len(rep.Findings) == 0 {
		return
	}
	told.add(rep)
	where := ""
	if c.keep == "" {
		dir := ""
		if artifacts() {
			dir = c.t.ArtifactDir()
		}
		where = keep(dir, c.name, data)
	}
	c.t.Errorf("tracetest: %s", message(rep, where))
}

// checks are those under way.
type checks struct {
	mu   sync.Mutex
	list []*check
}

var running checks

// add returns false if the test is there already.
func (r *checks) add(c *check) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, other := range r.list {
		if other.t == c.t {
			return false
		}
	}
	r.list = append(r.list, c)
	return true
}

func (r *checks) remove(c *check) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.list {
		if other == c {
			r.list = append(r.list[:i], r.list[i+1:]...)
			return
		}
	}
}

// all returns those that are under way now.
func (r *checks) all() []*check {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*check(nil), r.list...)
}
