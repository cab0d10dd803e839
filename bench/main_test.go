//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestMain lets the test binary be the child process of a comparison.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "-read=") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestCompare measures the two readers that need no other program.
func TestCompare(t *testing.T) {
	packed, err := os.Open(filepath.Join("..", "traceload", "testdata", "waits", "go1.26.trace.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := zstd.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "waits.trace")
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var contenders []contender
	for _, how := range []string{"bare", "load"} {
		contenders = append(contenders, contender{name: how, command: func(file string) []string { return []string{self, "-read=" + how, file} }})
	}
	contenders = append(contenders, contender{name: "huge", limit: 1000, command: func(string) []string { return []string{"/nowhere"} }})
	var out bytes.Buffer
	costs, err := compare(context.Background(), contenders, file, options{runs: 3, procs: 2}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range costs[:2] {
		if c.wall <= 0 || c.cpu <= 0 || c.memory < 1<<20 {
			t.Errorf("%s took %+v", contenders[i].name, c)
		}
	}
	for _, row := range []string{`huge +left out`, `bare +\S+ s +1\.00 +\S+ s +1\.00 +\d+ MB +1\.00`, `load +\S+ s +\S+ +\S+ s +\S+ +\d+ MB +\S+`} {
		if !regexp.MustCompile(row).Match(out.Bytes()) {
			t.Errorf("no row %s in\n%s", row, &out)
		}
	}

	broken := contender{name: "broken", command: func(string) []string { return []string{self, "-read=upside down", file} }}
	if _, err := compare(context.Background(), []contender{broken}, file, options{runs: 1, procs: 2}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "-read=upside down: unknown") {
		t.Errorf("a contender that fails gives %v", err)
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"rest":     "usage: bench",
		"-n 0":     "usage: bench",
		"-none":    "flag provided but not defined",
		"-procs 0": "usage: bench",
	} {
		if err := run(context.Background(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bench %s: %v, want %s", args, err, want)
		}
	}
}

func TestMedian(t *testing.T) {
	costs := []cost{{memory: 5}, {memory: 1}, {memory: 9}, {memory: 3}, {memory: 4}}
	if m := median(costs, func(c cost) int64 { return c.memory }); m != 4 {
		t.Errorf("median of %v is %d, want 4", costs, m)
	}
}
