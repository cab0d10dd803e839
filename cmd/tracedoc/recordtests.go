package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// recordTests runs the tests of each package with -trace, one after the other:
// packages that run at the same time would be in each other's traces.
func (t *tool) recordTests(ctx context.Context, test *goTest, f *recordFlags, p *plan) (recording, error) {
	packages, err := t.testPackages(ctx, test)
	if err != nil {
		return recording{}, err
	}
	dir, abs, err := f.newFolder()
	if err != nil {
		return recording{}, err
	}
	var rec recording
	var failed, without []string
	used := map[string]bool{}
	for _, pkg := range packages {
		if ctx.Err() != nil {
			break
		}
		name := traceName(strings.Join(pkg, "_"), used)
		trace, binary := filepath.Join(abs, name), filepath.Join(abs, "."+name+".test")
		c, err := t.start(test.command(pkg, trace, binary), t.programOutput(p.outputs))
		if err != nil {
			return recording{}, err
		}
		err = c.wait(ctx, nil)
		_ = os.Remove(binary) // it is there if the package could be built
		if err != nil {
			failed = append(failed, strings.Join(pkg, " "))
		}
		if isTrace(context.WithoutCancel(ctx), trace) {
			rec.traces = append(rec.traces, filepath.Join(dir, name))
		} else {
			without = append(without, strings.Join(pkg, " "))
			_ = os.Remove(trace) // it holds nothing
		}
	}
	if ctx.Err() != nil {
		t.note("interrupted: %d of %d packages left a trace", len(rec.traces), len(packages))
		rec.failed = true
	} else {
		for _, pkg := range without {
			t.note("warning: %s: its tests left no trace", pkg)
		}
	}
	if len(failed) > 0 {
		rec.failed = true
		t.note("go test failed in %s", some(failed, 5))
	}
	if len(rec.traces) == 0 {
		_ = os.Remove(dir) // if there is nothing in it
		return rec, errors.New("no trace was recorded")
	}
	t.note("%d of %d packages: the traces are in %s", len(rec.traces), len(packages), dir)
	return rec, nil
}

// testPackages returns what is to be tested, an element for each run of go test.
func (t *tool) testPackages(ctx context.Context, test *goTest) ([][]string, error) {
	if test.single() {
		return [][]string{test.packages}, nil
	}
	args := test.list()
	list := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		if stderr.Len() > 0 {
			err = errors.New(stderr.String())
		}
		return nil, fmt.Errorf("go list cannot tell which packages to test: %w", err)
	}
	var packages [][]string
	for _, line := range strings.Fields(string(out)) {
		packages = append(packages, []string{line})
	}
	if len(packages) == 0 {
		why := "no package here has tests"
		if len(test.packages) > 0 {
			why = "no package has tests of " + some(test.packages, 5)
		}
		return nil, errors.New(why)
	}
	if len(packages) > 1 {
		if err := test.checkSeveral(); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

// traceName makes the name of a package's trace, one that is not in use.
func traceName(pkg string, used map[string]bool) string {
	base := fileName(pkg)
	name := base + ".trace"
	for i := 2; used[name]; i++ {
		name = fmt.Sprintf("%s-%d.trace", base, i)
	}
	used[name] = true
	return name
}

// some lists the first few of many names.
func some(names []string, limit int) string {
	if n := len(names); n > limit {
		names = append(slices.Clone(names[:limit]), fmt.Sprintf("and %d more", n-limit))
	}
	return strings.Join(names, ", ")
}
