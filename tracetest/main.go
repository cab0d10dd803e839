package tracetest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/trace"
	"sync"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Main runs the tests of a package, judges the trace of all of them together,
// and ends the process: with status 1 if a test failed or there is a finding.
//
//	func TestMain(m *testing.M) { tracetest.Main(m) }
//
// It costs less than a Check in each test, sees what belongs to no test, and
// tells afterwards, with the names of the tests that it concerns. Tests can
// have a Check of their own as well; what they say is not said again.
func Main(m *testing.M, opts ...Option) { os.Exit(runMain(m, opts)) }

func runMain(m *testing.M, opts []Option) int {
	cfg, err := newOptions(opts)
	if err != nil {
		fmt.Fprintf(os.Stderr, "tracetest.Main: %v\n", err)
		return 2
	}
	if !flag.Parsed() {
		flag.Parse()
	}
	if testFlag("test.list") != "" {
		return m.Run()
	}
	if file := goTestTrace(); file != "" {
		fmt.Fprintf(os.Stderr, "tracetest: steps aside, since go test -trace records this run; to judge it: tracedoc analyze %s\n", file)
		return m.Run()
	}
	r, err := cfg.record()
	if err != nil {
		fmt.Fprintf(os.Stderr, "tracetest: steps aside: cannot record a trace: %v\n", err)
		return m.Run()
	}
	idle := runtime.NumGoroutine()
	if timeout, err := time.ParseDuration(testFlag("test.timeout")); err == nil && timeout > 0 {
		deadline := time.Now().Add(timeout)
		time.AfterFunc(timeout-notice(timeout), func() {
			fmt.Fprintf(os.Stderr, "\ntracetest: the tests still run %v before -timeout ends the process\n", notice(timeout))
			r.report(deadline)
		})
	}
	code := m.Run()
	for pause, end := 5*time.Millisecond, time.Now().Add(cfg.grace); runtime.NumGoroutine() > idle && time.Now().Before(end); pause *= 2 {
		time.Sleep(min(pause, time.Until(end)))
	}
	if found := r.report(time.Time{}); found && code == 0 {
		code = 1
	}
	return code
}

// recording is the trace of a whole package.
type recording struct {
	*options
	file *os.File
	once sync.Once
}

// record begins to record into a file.
func (c *options) record() (*recording, error) {
	path, err := traceFile(c.keep, "package")
	if err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := trace.Start(f); err != nil {
		_ = f.Close() // it is empty, and the first error is the one to tell
		_ = os.Remove(path)
		return nil, err
	}
	return &recording{options: c, file: f}, nil
}

// report ends the recording and says what was found; the first call only, and a
// second one waits for it. The deadline is when the process ends, zero if it does not.
func (r *recording) report(deadline time.Time) (found bool) {
	r.once.Do(func() {
		trace.Stop()
		path := r.file.Name()
		if err := r.file.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "tracetest: the trace could not be written: %v\n", err)
			return
		}
		type judgement struct {
			rep *detectors.Report
			err error
		}
		j := before(deadline, func(src detectors.Source) (j judgement) {
			j.rep, j.err = r.judgeWith(src, traceload.OpenOptions{}, path, "")
			return j
		})
		if j.err != nil {
			fmt.Fprintf(os.Stderr, "tracetest: the tests could not be judged: %v\n", j.err)
			return
		}
		rep := j.rep
		unsaid(rep)
		if found = len(rep.Findings) > 0; found {
			fmt.Fprintf(os.Stderr, "tracetest: %s", message(rep, keptAt(path)))
		} else if r.keep == "" {
			removeTrace(path)
		}
	})
	return found
}
