package tracetest_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/tracetest"
)

// TestMain has the cases of Main go through it.
func TestMain(m *testing.M) {
	if strings.HasPrefix(os.Getenv(caseVariable), "main-") {
		_ = os.Setenv(caseVariable, strings.TrimPrefix(os.Getenv(caseVariable), "main-"))
		tracetest.Main(m)
	}
	os.Exit(m.Run())
}

// TestCases runs each case in a process of its own and looks at what a user sees.
func TestCases(t *testing.T) {
	leakLine := lineOf(t, "// LEAK")
	lockLine := lineOf(t, "// DEADLOCK")
	tests := []struct {
		name string
		test string   // pattern of the case's test
		args []string // further flags of the test binary
		fail bool
		want []string // what the output has
		not  []string // and what it has not
	}{
		{name: "leak", test: "TestCaseLeak", fail: true, want: []string{
			"goroutine-leak/chan-send", "medium", leakLine, "TestCaseLeak", "Repair: ", "tracedoc analyze "}},
		{name: "mended", test: "TestCaseMended"},
		{name: "ignored", test: "TestCaseIgnored"},
		{name: "parallel", test: "TestCaseParallel", fail: true,
			want: []string{"--- FAIL: TestCaseParallel/c", "--- PASS: TestCaseParallel/a", "--- PASS: TestCaseParallel/e", leakLine},
			not:  []string{"--- FAIL: TestCaseParallel/b", "--- FAIL: TestCaseParallel/d"}},
		{name: "subtest", test: "TestCaseSubtest", fail: true, want: []string{leakLine, "--- PASS: TestCaseSubtest/inner"}},
		{name: "others", test: "TestCaseOthers", want: []string{"--- PASS: TestCaseOthers/clean"}},
		{name: "slow-end", test: "TestCaseSlowEnd"},
		{name: "http", test: "TestCaseHTTP"},
		{name: "hang", test: "TestCaseHang", args: []string{"-test.timeout=8s"}, fail: true, want: []string{
			"TestCaseHang still runs", "deadlock/lock-order", lockLine, "panic: test timed out after 8s", "tracedoc analyze "}},
		{name: "skipped", test: "TestCaseSkipped"},
		{name: "wrong-option", test: "TestCaseWrongOption", fail: true, want: []string{`unknown detector or family "goroutine-leek"`}},
		{name: "twice", test: "TestCaseTwice", fail: true, want: []string{"a finding in this test's trace"}},
		{name: "benchmark", test: "-", args: []string{"-test.bench=BenchmarkCase", "-test.benchtime=20x"}, want: []string{"BenchmarkCase"}},
		{name: "leak", test: "TestCaseLeak", args: []string{"-test.trace=" + filepath.Join(t.TempDir(), "trace.out")}, want: []string{"steps aside", "--- PASS: TestCaseLeak"}},
		{name: "main-leak", test: "TestCaseLeak", fail: true, want: []string{"--- FAIL: TestCaseLeak", leakLine}},
		{name: "main-mended", test: "TestCaseMended"},
		{name: "main-others", test: "TestCaseOthers", fail: true, want: []string{"--- PASS: TestCaseOthers/clean", "goroutine-leak/chan-send", leakLine}},
		{name: "main-hang", test: "TestCaseHang", args: []string{"-test.timeout=8s"}, fail: true, want: []string{"deadlock/lock-order", lockLine, "panic: test timed out after 8s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name+strings.Join(tt.args, ""), func(t *testing.T) {
			t.Parallel()
			out, failed := runCase(t, tt.name, append([]string{"-test.run=^" + tt.test + "$", "-test.v"}, tt.args...)...)
			if failed != tt.fail {
				t.Errorf("failed: %v, want %v", failed, tt.fail)
			}
			if !tt.fail && strings.Contains(out, "could not be judged") {
				t.Error("it was not judged")
			}
			for _, w := range tt.want {
				if !strings.Contains(out, w) {
					t.Errorf("the output lacks %q", w)
				}
			}
			for _, n := range tt.not {
				if strings.Contains(out, n) {
					t.Errorf("the output has %q", n)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
			for _, m := range regexp.MustCompile(`tracedoc analyze (\S+)`).FindAllStringSubmatch(out, -1) {
				if st, err := os.Stat(m[1]); err != nil || st.Size() == 0 {
					t.Errorf("the trace that is named is not there: %v", err)
				}
			}
		})
	}
}

// runCase runs this test binary again and returns what it printed.
func runCase(t *testing.T, name string, args ...string) (output string, failed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), caseVariable+"="+name, "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "\n") {
		t.Fatalf("nothing ran: %s", out)
	}
	return string(out), err != nil
}

// lineOf returns "cases_test.go:N" for the line of the cases with this mark.
func lineOf(t *testing.T, mark string) string {
	t.Helper()
	f, err := os.Open("cases_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read from
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		if strings.Contains(sc.Text(), mark) {
			return "cases_test.go:" + strconv.Itoa(n)
		}
	}
	t.Fatalf("no line with %q", mark)
	return ""
}
