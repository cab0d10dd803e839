package suite_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/traceload"
)

// record is read-only after flag parsing; a flag of a test binary has no other home.
var record = flag.Bool("record", false, "record the traces of testdata/fingerprints again")

// recordings are of one program, built in different ways, and of the same
// program after an edit: files renamed and split, lines moved, closures
// renumbered, functions that no longer can be inlined. toolchain is as in
// $GOTOOLCHAIN.
var recordings = []struct{ name, dir, toolchain, flags string }{
	{"before", "before", "go1.26.8", "-trimpath"},
	{"before.paths", "before", "go1.26.8", ""}, // absolute paths
	{"before.noinline", "before", "go1.26.8", "-trimpath -gcflags=all=-l"},
	{"before.go1.24", "before", "go1.24.6", "-trimpath"},
	{"after", "after", "go1.26.8", "-trimpath"},
	{"after.noinline", "after", "go1.26.8", "-trimpath -gcflags=all=-l"},
}

// A problem keeps its fingerprint when lines move, files are renamed, closures
// are renumbered or code is inlined differently.
func TestFingerprintsHold(t *testing.T) {
	want := map[string]string{} // fingerprint → the problem, of the first recording
	for _, r := range recordings {
		path := filepath.Join("testdata", "fingerprints", r.name+".trace.zst")
		if *record {
			recordProgram(t, r.dir, r.toolchain, r.flags, path)
		}
		got := map[string]string{}
		lines := []string{}
		for _, f := range findingsIn(t, path) {
			what := fmt.Sprintf("%s/%s in %s", f.Detector, f.Cause, f.Site.Func)
			if other, twice := got[f.Fingerprint]; twice {
				t.Errorf("%s: %s and %s have one fingerprint", r.name, what, other)
			}
			got[f.Fingerprint] = what
			lines = append(lines, f.Fingerprint+" "+what)
		}
		slices.Sort(lines)
		t.Logf("%s:\n  %s", r.name, strings.Join(lines, "\n  "))
		if len(want) == 0 {
			want = got
			if len(want) != 6 {
				t.Fatalf("%d problems in the first recording, want 5 leaks and a lock", len(want))
			}
			inlined := func(f string) bool { return strings.Contains(f, "main.main.") }
			if n := len(slices.DeleteFunc(slices.Collect(maps.Values(want)), func(f string) bool { return !inlined(f) })); n < 4 {
				t.Fatalf("only %d of the sites are inlined: the recording proves nothing", n)
			}
			continue
		}
		for fp, what := range want {
			if got[fp] == "" {
				t.Errorf("%s: %s (%s) is gone", r.name, what, fp)
			}
		}
		for fp, what := range got {
			if want[fp] == "" {
				t.Errorf("%s: %s (%s) is new", r.name, what, fp)
			}
		}
	}
}

func findingsIn(t *testing.T, path string) []detectors.Finding {
	t.Helper()
	in, err := traceload.Open(context.Background(), path, traceload.OpenOptions{})
	if err != nil {
		t.Fatalf("%v; record with: go test ./detectors/suite -run TestFingerprintsHold -record", err)
	}
	defer in.Close()
	list, err := detectors.Select(suite.All(), []string{"goroutine-leak", "lock-held-while-blocked"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := detectors.Analyze(in, list, detectors.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return detectors.NewReport([]*detectors.Result{res}, detectors.Options{MinSeverity: detectors.Low, MinConfidence: 0.5}).Findings
}

func recordProgram(t *testing.T, dir, toolchain, flags, path string) {
	t.Helper()
	temp := t.TempDir()
	program, trace := filepath.Join(temp, "shop"), filepath.Join(temp, "trace")
	args := append([]string{"build", "-o", program}, strings.Fields(flags)...)
	for _, cmd := range []*exec.Cmd{exec.Command("go", append(args, ".")...), exec.Command(program, trace)} {
		cmd.Dir = filepath.Join("testdata", "fingerprints", dir)
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOWORK=off", "GOFLAGS=", "GOMAXPROCS=2")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}
