package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/scenes"
	"github.com/tracedoc/tracedoc/traceload"
)

// draw looks up the parts of the report that outputs draw, in a second reading
// of its first traces, so many as were read. Those behind them are of saved
// reports, which have such parts or not.
func (t *tool) draw(ctx context.Context, report *detectors.Report, read int, parts detectors.Parts, s *settings) error {
	if parts == detectors.NoParts {
		return nil
	}
	runtime.GC() // what the first reading took is garbage by now, and need not be there beside the second
	for i := range read {
		trace := &report.Traces[i]
		err := t.drawOne(ctx, report, i, parts, s)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case err != nil:
			trace.Warnings = append(trace.Warnings, fmt.Sprintf("it could not be read a second time, for pictures: %v", err))
		}
	}
	return nil
}

// drawOne draws one trace.
func (t *tool) drawOne(ctx context.Context, report *detectors.Report, trace int, parts detectors.Parts, s *settings) error {
	path := s.copies.path(report.Traces[trace].Source)
	_, err := attend(ctx, t, report.Traces[trace].Source, func(m *meter, progress traceload.Progress) (struct{}, error) {
		open := func() (*traceload.Input, error) {
			in, err := traceload.Open(ctx, path, traceload.OpenOptions{})
			if err == nil {
				m.reading(in)
			}
			return in, err
		}
		return struct{}{}, scenes.Draw(report, trace, parts, open, &scenes.Options{Progress: progress, Limits: s.limits()})
	})
	return err
}

// rereadable tells whether a source holds the same when it is opened again.
func rereadable(source string) bool {
	if source == "-" || strings.Contains(source, "://") {
		return false
	}
	st, err := os.Stat(source)
	return err != nil || st.Mode().IsRegular() // what cannot be opened tells why
}

// copies keeps what was read from standard input, servers and pipes, until it
// has been read again. A nil *copies has none.
type copies struct {
	dir   string
	names map[string]string // by source
}

// create makes the file for a copy of what is read from source.
func (c *copies) create(source string) (*os.File, error) {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "tracedoc-")
		if err != nil {
			return nil, fmt.Errorf("%s: cannot be kept for a second reading: %w", source, reason(err))
		}
		c.dir, c.names = dir, map[string]string{}
	}
	f, err := os.Create(filepath.Join(c.dir, strconv.Itoa(len(c.names))))
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be kept for a second reading: %w", source, reason(err))
	}
	c.names[source] = f.Name()
	return f, nil
}

// path is where a source can be read again.
func (c *copies) path(source string) string {
	if c == nil || c.names[source] == "" {
		return source
	}
	return c.names[source]
}

// remove removes all copies.
func (c *copies) remove() {
	if c.dir != "" {
		_ = os.RemoveAll(c.dir) // nothing can be done about it, and it is in the system's folder for such
	}
}
