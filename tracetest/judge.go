package tracetest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// judging is held while a trace is judged: one at a time, since the tree of
// sources is for one goroutine at a time.
var judging sync.Mutex

// tree is the source of the tests' module, read once.
var tree = sync.OnceValue(source.Default)

// judge returns what a trace says of a test and its subtests; of all, also of
// what belongs to no test, for "".
func (c *options) judge(data []byte, test string) (*detectors.Report, error) {
	judging.Lock()
	defer judging.Unlock()
	return c.judgeWith(tree(), traceload.OpenOptions{Stdin: bytes.NewReader(data)}, "-", test)
}

// judgeWith is judge for a trace that lies somewhere, with the source given or with
// none for nil.
func (c *options) judgeWith(src detectors.Source, opt traceload.OpenOptions, path, test string) (*detectors.Report, error) {
	in, err := traceload.Open(context.Background(), path, opt)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read from
	res, err := detectors.Analyze(in, c.list, detectors.Config{Source: src, KnownWaits: c.known})
	if err != nil {
		return nil, err
	}
	rep := detectors.Collect([]*detectors.Result{res}, "")
	c.policy.Apply(rep, detectors.Options{MinSeverity: c.failOn, MinConfidence: c.minConfidence}, time.Now()) // what it warns of is for tracedoc analyze to tell
	rep.Findings = slices.DeleteFunc(rep.Findings, func(f detectors.Finding) bool { return !belongs(&f, test) })
	for i := range rep.Findings {
		rep.Findings[i].Rank = i + 1
	}
	return rep, nil
}

// before judges by deadline, the end of the process: reading the source may take
// longer than that, and then the trace alone has to do. judge is called from
// several goroutines, with different sources. A zero deadline is none.
func before[T any](deadline time.Time, judge func(detectors.Source) T) T {
	thorough := make(chan T, 1)
	go func() {
		judging.Lock()
		defer judging.Unlock()
		thorough <- judge(tree())
	}()
	if deadline.IsZero() {
		return <-thorough
	}
	quick := judge(nil)
	select {
	case best := <-thorough:
		return best
	case <-time.After(time.Until(deadline) * 3 / 4): // the rest is to tell it
		return quick
	}
}

// belongs tells whether a finding is about the goroutines of a test, those of its
// subtests included.
func belongs(f *detectors.Finding, test string) bool {
	return test == "" || slices.ContainsFunc(f.Tests, func(name string) bool {
		return name == test || strings.HasPrefix(name, test+"/")
	})
}

// message is what a failing test prints: each finding in short, and where the
// trace is.
func message(rep *detectors.Report, where string) string {
	var b strings.Builder
	if len(rep.Findings) == 1 {
		b.WriteString("a finding in this test's trace\n\n")
	} else {
		fmt.Fprintf(&b, "%d findings in this test's trace\n\n", len(rep.Findings))
	}
	_ = render.Brief(&b, rep, render.Options{}) // a Builder takes everything
	if where != "" {
		b.WriteString("\n" + where + "\n")
	}
	return b.String()
}

// told remembers what checks have reported, so that Main does not say it again.
var told toldFindings

type toldFindings struct {
	mu    sync.Mutex
	known map[string]bool // by fingerprint
}

func (t *toldFindings) add(rep *detectors.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]bool{}
	}
	for i := range rep.Findings {
		t.known[rep.Findings[i].Fingerprint] = true
	}
}

func (t *toldFindings) has(f *detectors.Finding) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[f.Fingerprint]
}

// keep writes a trace into a folder, a new one in the temporary folder for "",
// and returns a sentence that says where, or why not.
func keep(dir, test string, data []byte) string {
	path, err := traceFile(dir, test)
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		return fmt.Sprintf("The trace could not be kept: %v", err)
	}
	return keptAt(path)
}

func keptAt(path string) string {
	return fmt.Sprintf("The trace is kept; the whole report: tracedoc analyze %s", path)
}

// traceFile returns the path for a test's trace in a folder, which it makes.
func traceFile(dir, test string) (string, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "tracetest-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", err
	}
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, test)
	return filepath.Join(dir, name[:min(len(name), 120)]+".trace"), nil
}

// removeTrace removes what traceFile has made for a trace that nobody wants.
func removeTrace(path string) {
	_ = os.Remove(path)
	_ = os.Remove(filepath.Dir(path)) // the temporary folder made for it; a leftover does no harm
}

// goTestTrace returns the file that go test -trace writes, "" without that flag.
func goTestTrace() string { return testFlag("test.trace") }

// artifacts tells whether go test -artifacts keeps what tests leave.
func artifacts() bool { return testFlag("test.artifacts") == "true" }

func testFlag(name string) string {
	if f := flag.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}
