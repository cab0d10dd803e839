// Package compare holds tracetest against go.uber.org/goleak: on the same tests,
// what does each of them see, and what does it cost? It is a module of its own, so
// that goleak is nobody else's dependency.
//
//	go test -run TestTable -v .    prints the table that README.md shows, and fails if it is another
//	go test -bench . -count 10 .   what a check costs
package compare

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tracedoc/tracedoc/tracetest"
)

// The checkers, by name. Each is called at the top of a test.
var checkers = map[string]func(testing.TB){
	"none":      func(testing.TB) {},
	"goleak":    func(t testing.TB) { t.Cleanup(func() { goleak.VerifyNone(t) }) },
	"tracetest": func(t testing.TB) { tracetest.Check(t) },
}

const checkerVariable = "COMPARE_CHECKER"

func check(t testing.TB) { checkers[os.Getenv(checkerVariable)](t) }

// late leaves a goroutine behind if there is no room for its answer.
func late(room int) {
	answer := make(chan int, room)
	go func() {
		time.Sleep(15 * time.Millisecond)
		answer <- 1
	}()
	select {
	case <-answer:
	case <-time.After(5 * time.Millisecond):
	}
}

// scenarios are tests; wrong says which part of the test ought to fail: the
// names of subtests, "" for the test itself, nil for none.
var scenarios = []struct {
	name  string
	what  string // for the table
	args  []string
	wrong []string
	run   func(t *testing.T)
}{
	{"Clean", "a test that leaves nothing behind", nil, nil, func(t *testing.T) {
		check(t)
		late(1)
		time.Sleep(30 * time.Millisecond)
	}},
	{"Leak", "a test that leaves one goroutine behind", nil, []string{""}, func(t *testing.T) {
		check(t)
		late(0)
	}},
	{"SlowEnd", "goroutines that need 0.2 s to end", nil, nil, func(t *testing.T) {
		check(t)
		stop := make(chan struct{})
		for range 3 {
			go func() { <-stop; time.Sleep(200 * time.Millisecond) }()
		}
		close(stop)
	}},
	{"Parallel", "five tests in parallel, of which c leaks", nil, []string{"c"}, func(t *testing.T) {
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				check(t)
				for range 10 {
					room := 1
					if name == "c" {
						room = 0
					}
					late(room)
				}
			})
		}
	}},
	{"Earlier", "a clean test after one that leaks and is not checked", nil, nil, func(t *testing.T) {
		t.Run("first", func(t *testing.T) { late(0); time.Sleep(20 * time.Millisecond) })
		t.Run("second", func(t *testing.T) {
			check(t)
			late(1)
			time.Sleep(30 * time.Millisecond)
		})
	}},
	{"Idle", "idle connections of an HTTP client", nil, nil, func(t *testing.T) {
		check(t)
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Start()
		defer func() { _ = s.Config.Close() }()
		client := &http.Client{Transport: &http.Transport{}}
		for range 3 {
			if res, err := client.Get(s.URL); err == nil {
				_ = res.Body.Close()
			}
		}
	}},
	{"Deadlock", "two goroutines that lock in different orders, until -timeout", []string{"-test.timeout=4s"}, []string{""}, func(t *testing.T) {
		check(t)
		var a, b sync.Mutex
		var ready, done sync.WaitGroup
		ready.Add(2)
		both := func(first, second *sync.Mutex) {
			first.Lock()
			defer first.Unlock()
			ready.Done()
			ready.Wait()
			second.Lock()
			defer second.Unlock()
		}
		done.Go(func() { both(&a, &b) })
		done.Go(func() { both(&b, &a) })
		done.Wait()
	}},
}

// TestScenario runs one scenario with one checker, for TestTable.
func TestScenario(t *testing.T) {
	if os.Getenv(checkerVariable) == "" {
		t.Skip("TestTable runs it")
	}
	for _, s := range scenarios {
		t.Run(s.name, s.run)
	}
}

var update = flag.Bool("update", false, "rewrite the table in README.md")

// TestTable runs all scenarios with both and compares the outcome with README.md.
func TestTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| a test with | goleak | tracetest |\n| --- | --- | --- |\n")
	for _, s := range scenarios {
		row := "| " + s.what + " |"
		for _, checker := range []string{"goleak", "tracetest"} {
			row += " " + outcome(t, s.name, checker, s.args, s.wrong) + " |"
		}
		b.WriteString(row + "\n")
	}
	t.Log("\n" + b.String())

	const begin, end = "<!-- table:begin -->\n", "<!-- table:end -->"
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("README.md lacks the marks %q and %q", begin, end)
	}
	if old == b.String() {
		return
	}
	if !*update {
		t.Fatal("README.md shows another table; run: go test -run TestTable -update .")
	}
	if err := os.WriteFile("README.md", []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// outcome words what a checker makes of a scenario.
func outcome(t *testing.T, name, checker string, args, wrong []string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"-test.v", "-test.run=^TestScenario$/^" + name + "$"}, args...)...)
	cmd.Env = append(os.Environ(), checkerVariable+"="+checker, "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text := string(out)
	cause := ""
	for _, c := range []string{"goroutine-leak/chan-send", "deadlock/lock-order"} {
		if strings.Contains(text, c) {
			cause = ", and names the cause"
		}
	}
	if strings.Contains(text, "panic: test timed out") {
		if cause == "" {
			return "says nothing: the process ends before it looks"
		}
		return "tells it before the process ends" + cause
	}
	var right, false_, missed []string
	for _, part := range parts(name, text) {
		failed := strings.Contains(text, "--- FAIL: "+part+" ")
		ought := false
		for _, w := range wrong {
			ought = ought || part == strings.TrimSuffix("TestScenario/"+name+"/"+w, "/")
		}
		short := strings.TrimPrefix(strings.TrimPrefix(part, "TestScenario/"+name), "/")
		switch {
		case failed && ought:
			right = append(right, short)
		case failed:
			false_ = append(false_, short)
		case ought:
			missed = append(missed, short)
		}
	}
	switch {
	case len(missed) > 0:
		return "misses it"
	case len(false_) > 0:
		slices.Sort(false_)
		return fmt.Sprintf("fails wrongly (%s)", strings.Trim(strings.Join(false_, ", "), " ,")) + cause
	case len(right) > 0:
		return "fails" + cause
	}
	return "passes"
}

// parts are the tests that are checked: the scenario's subtests, or itself.
func parts(name, text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		for _, p := range []string{"--- PASS: ", "--- FAIL: "} {
			if rest, ok := strings.CutPrefix(line, p); ok && strings.HasPrefix(rest, "TestScenario/"+name+"/") {
				test, _, _ := strings.Cut(rest, " ")
				list = append(list, test)
			}
		}
	}
	if len(list) == 0 {
		return []string{"TestScenario/" + name}
	}
	return list
}

// BenchmarkCheck is what a check adds to a test that does next to nothing.
func BenchmarkCheck(b *testing.B) {
	for _, checker := range []string{"none", "goleak", "tracetest"} {
		b.Run(checker, func(b *testing.B) {
			for b.Loop() {
				t := &fake{TB: b}
				begin(t, checker)
				var w sync.WaitGroup
				w.Go(func() { time.Sleep(time.Millisecond) })
				w.Wait()
				t.end()
			}
		})
	}
}

// BenchmarkBusy is what recording adds to a test with many hand-overs.
func BenchmarkBusy(b *testing.B) {
	for _, checker := range []string{"none", "goleak", "tracetest"} {
		b.Run(checker, func(b *testing.B) {
			for b.Loop() {
				t := &fake{TB: b}
				begin(t, checker)
				items := make(chan int)
				var w sync.WaitGroup
				for range 8 {
					w.Go(func() {
						for range items {
						}
					})
				}
				for i := range 20_000 {
					items <- i
				}
				close(items)
				w.Wait()
				t.end()
			}
		})
	}
}

// begin is the checker for a test within a benchmark, whose goroutines goleak must
// be told to leave out.
func begin(t testing.TB, checker string) {
	if checker == "goleak" {
		others := goleak.IgnoreCurrent()
		t.Cleanup(func() { goleak.VerifyNone(t, others) })
		return
	}
	checkers[checker](t)
}

// fake is a test of its own within a benchmark.
type fake struct {
	testing.TB
	cleanups []func()
}

func (f *fake) Name() string      { return "BenchmarkFake" }
func (f *fake) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }
func (f *fake) end() {
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
}
