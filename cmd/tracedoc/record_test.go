package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTraceURL(t *testing.T) {
	tests := []struct {
		server string
		length time.Duration
		want   string // a URL, or the end of an error
		takes  time.Duration
	}{
		{"host:6060", 0, "http://host:6060/debug/pprof/trace?seconds=5", 5 * time.Second},
		{"host", 0, "http://host/debug/pprof/trace?seconds=5", 5 * time.Second},
		{":6060", 0, "http://localhost:6060/debug/pprof/trace?seconds=5", 5 * time.Second},
		{"[::1]:6060", 0, "http://[::1]:6060/debug/pprof/trace?seconds=5", 5 * time.Second},
		{"http://host:6060/", 250 * time.Millisecond, "http://host:6060/debug/pprof/trace?seconds=0.25", 250 * time.Millisecond},
		{"https://host/base/", 2 * time.Minute, "https://host/base/debug/pprof/trace?seconds=120", 2 * time.Minute},
		{"host/base/debug/pprof", 0, "http://host/base/debug/pprof/trace?seconds=5", 5 * time.Second},
		{"host/base/debug/pprof/", 0, "http://host/base/debug/pprof/trace?seconds=5", 5 * time.Second},
		{"host/x/pprof/trace", 0, "http://host/x/pprof/trace?seconds=5", 5 * time.Second},
		{"host/debug/pprof/trace?seconds=3&token=a%20b#x", 0, "http://host/debug/pprof/trace?seconds=3&token=a+b", 3 * time.Second},
		{"host/debug/pprof/trace?seconds=3", time.Second, "http://host/debug/pprof/trace?seconds=1", time.Second},
		{"http://me:pw@host:1", 0, "http://me:pw@host:1/debug/pprof/trace?seconds=5", 5 * time.Second},
		{"host/debug/pprof/goroutine", 0, `this is the profile "goroutine", not a trace: leave out what comes after /pprof`, 0},
		{"unix:///x", 0, "only http and https can be recorded from, not unix", 0},
		{"http://", 0, "names no host", 0},
		{"host:port:1", 0, "neither a URL nor host:port: invalid port \":port:1\" after host", 0},
		{"http://%zz", 0, "neither a URL nor host:port: invalid URL escape \"%zz\"", 0},
	}
	for _, test := range tests {
		u, length, err := traceURL(test.server, test.length)
		if err != nil {
			if !strings.HasSuffix(err.Error(), ": "+test.want) {
				t.Errorf("%s: %v, want %s", test.server, err, test.want)
			}
			continue
		}
		if u.String() != test.want || length != test.takes {
			t.Errorf("%s: %s for %v, want %s for %v", test.server, u, length, test.want, test.takes)
		}
	}
}

func TestParseGoTest(t *testing.T) {
	tests := []struct{ args, packages, listing, command string }{
		{"", "", "", "go test -trace T -o B P"},
		{"./...", "./...", "", "go test -trace T -o B P"},
		{"-race -run X -tags a,b ./a ./b -count=1 -v", "./a ./b", "-race -tags a,b", "go test -trace T -o B P -race -run X -tags a,b -count=1 -v"},
		{"-v ./a -args -trace x ./b", "./a", "", "go test -trace T -o B P -v -args -trace x ./b"},
		{"./a -- ./b -c", "./a", "", "go test -trace T -o B P -- ./b -c"},
		{"-C dir -tags=x ./...", "./...", "-tags=x", "go test -C dir -trace T -o B P -tags=x"},
		{"-mine x ./a", "", "", "go test -trace T -o B P -mine x ./a"}, // as go test has it, these are the test's
		{"./a -mine x -short", "./a", "", "go test -trace T -o B P -mine x -short"},
		{"--run X --test.v ./a", "./a", "", "go test -trace T -o B P --run X --test.v"},
		{"-o mine.test ./a", "./a", "", "go test -trace T P -o mine.test"},
		{"-run", "", "", "go test -trace T -o B P -run"},
		{"-trace x", "error", "", ""},
		{"-test.trace=x ./a", "error", "", ""},
		{"-c ./a", "error", "", ""},
	}
	for _, test := range tests {
		g, err := parseGoTest(append([]string{"go", "test"}, strings.Fields(test.args)...))
		if err != nil {
			if test.packages != "error" {
				t.Errorf("%s: %v", test.args, err)
			}
			continue
		}
		if got := strings.Join(g.packages, " "); got != test.packages {
			t.Errorf("%s: packages %q, want %q", test.args, got, test.packages)
		}
		if got := strings.Join(g.listing, " "); got != test.listing {
			t.Errorf("%s: go list has %q, want %q", test.args, got, test.listing)
		}
		if got := strings.Join(g.command([]string{"P"}, "T", "B"), " "); got != test.command {
			t.Errorf("%s: %q, want %q", test.args, got, test.command)
		}
	}
	for args, want := range map[string]bool{"go test": true, "/usr/bin/go1.25.3 test x": true, "go.exe test": true, "go vet": false, "gotestsum test": false, "go": false} {
		if got := isGoTest(strings.Fields(args)); got != want {
			t.Errorf("%s is go test: %v", args, got)
		}
	}
}

func TestTraceName(t *testing.T) {
	used := map[string]bool{}
	var got []string
	for _, pkg := range []string{"a.b/c-d", "a.b/c_d", "a.b/c/d", "../x"} {
		got = append(got, traceName(pkg, used))
	}
	if want := []string{"a.b_c-d.trace", "a.b_c_d.trace", "a.b_c_d-2.trace", "x.trace"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
