package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// sourceOff is what --source takes instead of a folder.
const sourceOff = "off"

// openSource opens the source in the folders that from names; nil means that
// none is to be read.
func openSource(dirs []string, from string) (*source.Tree, error) {
	if len(dirs) == 0 {
		return source.Default(), nil
	}
	if slices.Contains(dirs, sourceOff) {
		if len(dirs) > 1 {
			return nil, fmt.Errorf("%s: %s goes with no other folder; a folder of that name is ./%s", from, sourceOff, sourceOff)
		}
		return nil, nil
	}
	for _, dir := range dirs {
		if err := checkFolder(dir); err != nil {
			return nil, fmt.Errorf("%s %q: cannot read the folder: %w", from, dir, reason(err))
		}
	}
	tree, err := source.New(dirs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return tree, nil
}

// checkFolder tells why a path is not a folder that can be read; nil if it is.
func checkFolder(path string) error {
	if st, err := os.Stat(path); err != nil {
		return err
	} else if !st.IsDir() { // before it is opened: a named pipe would block
		return errors.New("not a directory")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// readAll analyzes traces. It tells those that cannot be read; err is only for
// what ends everything.
func (t *tool) readAll(ctx context.Context, traces []string, s *settings) (results []*detectors.Result, unreadable bool, err error) {
	cfg := detectors.Config{KnownWaits: s.config.KnownWaits, Limits: s.limits()}
	if s.tree != nil { // not a nil *Tree in an interface
		cfg.Source = s.tree
	}
	for _, trace := range traces {
		cfg.Stats = s.statsFor()
		res, err := t.read(ctx, trace, s, cfg)
		switch {
		case ctx.Err() != nil:
			return nil, false, errors.New("interrupted")
		case err != nil:
			t.complain(err)
			unreadable = true
		default:
			results = append(results, res)
			if cfg.Stats != nil {
				printStats(t.stderr, trace, cfg.Stats)
			}
		}
	}
	return results, unreadable, nil
}

// read analyzes one trace.
func (t *tool) read(ctx context.Context, trace string, s *settings, cfg detectors.Config) (*detectors.Result, error) {
	opt := traceload.OpenOptions{Stdin: t.stdin}
	if s.copies != nil && !rereadable(trace) {
		f, err := s.copies.create(trace)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // a failed write ends the reading
		opt.Copy = f
	}
	return attend(ctx, t, trace, func(m *meter, progress traceload.Progress) (*detectors.Result, error) {
		opt.Recording = m.recording
		in, err := traceload.Open(ctx, trace, opt)
		if err != nil {
			return nil, err
		}
		defer func() { _ = in.Close() }() // it was only read from
		m.reading(in)
		cfg.Progress = progress
		return detectors.Analyze(in, s.list, cfg)
	})
}

// attend has work read a trace, which it hands to the meter. It returns at once
// when ctx is done, even while a read of standard input does not return; what is
// left behind then ends with the process, or as soon as it calls progress.
func attend[T any](ctx context.Context, t *tool, trace string, work func(*meter, traceload.Progress) (T, error)) (T, error) {
	meter := t.newMeter(trace)
	defer meter.stop()
	type outcome struct {
		res T
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- outcome{err: fmt.Errorf("%s: internal error: %v at %s; this is a bug of tracedoc, not of the trace", trace, v, panicSite())}
			}
		}()
		res, err := work(meter, func(int64) {
			if ctx.Err() != nil {
				runtime.Goexit() // nobody waits for the result any more
			}
		})
		done <- outcome{res, err}
	}()
	select {
	case o := <-done:
		return o.res, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// panicSite names the line that panicked; to be called while it is recovered.
func panicSite() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for after := false; ; {
		f, more := frames.Next()
		if inRuntime := strings.HasPrefix(f.Function, "runtime."); after && !inRuntime {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		} else if inRuntime {
			after = true
		}
		if !more {
			return "an unknown line"
		}
	}
}
