package flight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/scenes"
	"github.com/tracedoc/tracedoc/traceload"
)

// source is a trace that can be read, also twice: in memory, or a file.
type source struct {
	name string
	path string // "" for one in memory
	data []byte
}

// open opens it as it is.
func (s *source) open() (io.ReadCloser, error) {
	if s.path == "" {
		return io.NopCloser(bytes.NewReader(s.data)), nil
	}
	return os.Open(s.path)
}

// input opens it for an analysis.
func (s *source) input(ctx context.Context) (*traceload.Input, error) {
	path, opt := s.path, traceload.OpenOptions{}
	if path == "" {
		path, opt.Stdin = "-", bytes.NewReader(s.data)
	}
	in, err := traceload.Open(ctx, path, opt)
	if err != nil {
		return nil, fmt.Errorf("flight: %w", err)
	}
	in.Source = s.name
	return in, nil
}

// live takes what the window holds now into memory.
func (r *Recorder) live(ctx context.Context) (*source, error) {
	var b bytes.Buffer
	at := time.Now().UTC()
	ctx, cancel := context.WithTimeout(ctx, takeWithin)
	defer cancel()
	if err := r.window.writeTo(ctx, &boundedWriter{w: &b, left: heldAtMost(r.opt.WindowBytes)}); err != nil {
		return nil, fmt.Errorf("flight: cannot take the last seconds: %w", err)
	}
	return &source{name: fmt.Sprintf("%s-%s-now%s", r.opt.Name, at.Format(timeLayout), traceExt), data: b.Bytes()}, nil
}

// takeWithin is how long it may take to have the trace from the runtime.
const takeWithin = 5 * time.Second

// heldAtMost is how many bytes of trace an analysis takes into memory: what the
// window may have grown to before it was noticed.
func heldAtMost(window int64) int64 { return 4*window + 1<<20 }

// source returns the trace of a snapshot.
func (s *Snapshot) source() *source { return &source{name: filepath.Base(s.Path), path: s.Path} }

// judgeWithin is how long an analysis may take with all its pauses.
const judgeWithin = 2 * time.Minute

// report analyses a trace and writes it in a format. It runs on a goroutine of its
// own, so that whatever goes wrong there ends there.
func (r *Recorder) report(ctx context.Context, src *source, format render.Format) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeWithin)
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel)
	defer stop()
	type outcome struct {
		data []byte
		err  error
	}
	done := make(chan outcome, 1)
	err := r.begin(func() {
		o := outcome{err: errors.New("flight: the analysis was stopped, or took too long")}
		defer func() {
			if v := recover(); v != nil {
				o = outcome{err: fmt.Errorf("flight: internal error: %v; this is a bug of tracedoc, not of the service", v)}
			}
			done <- o
		}()
		data, err := r.judge(&pacer{ctx: ctx, share: r.opt.Share, since: time.Now()}, src, format)
		o = outcome{data, err}
	})
	if err != nil {
		return nil, err
	}
	o := <-done
	return o.data, o.err
}

func (r *Recorder) judge(pace *pacer, src *source, format render.Format) ([]byte, error) {
	limits := traceload.Limits{Jobs: 1, Memory: r.opt.WindowBytes}
	in, err := src.input(pace.ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read from
	res, err := detectors.Analyze(in, suite.All(), detectors.Config{Progress: pace.progress, KnownWaits: r.opt.KnownWaits, Limits: limits})
	if err != nil {
		return nil, fmt.Errorf("flight: %w", err)
	}
	rep := detectors.NewReport([]*detectors.Result{res}, detectors.Options{MinSeverity: detectors.Low, MinConfidence: 0.5})
	if format.Needs != detectors.NoParts {
		again := func() (*traceload.Input, error) { return src.input(pace.ctx) }
		if err := scenes.Draw(rep, 0, format.Needs, again, &scenes.Options{Progress: pace.progress, Limits: limits}); err != nil {
			return nil, fmt.Errorf("flight: cannot draw the report: %w", err)
		}
	}
	var b bytes.Buffer
	if err := format.Write(&b, rep, render.Options{Width: columns}); err != nil {
		return nil, fmt.Errorf("flight: cannot write the report: %w", err)
	}
	return b.Bytes(), nil
}

// columns is the width of a report as text.
const columns = 100

// pacer holds an analysis back. Goroutines have no priorities, and to make the
// thread of one nice would keep a processor of the runtime from all others while
// the thread waits. So the analysis works for a moment, then sleeps for longer.
// What it waits for the processor counts as work: the busier the service, the less
// the analysis gets.
type pacer struct {
	ctx   context.Context
	share float64 // of one processor
	since time.Time
}

// The trace is decoded by one goroutine while another analyses it, so that a moment
// of work may be up to two of processor time.
const (
	moment     = 2 * time.Millisecond
	abreast    = 2
	longestNap = time.Second
)

// progress is called after every few thousand events.
func (p *pacer) progress(int64) {
	if worked := time.Since(p.since); worked >= moment && p.share < 1 {
		nap := time.Duration(float64(worked) * (abreast/p.share - 1))
		timer := time.NewTimer(min(nap, longestNap))
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
		}
		p.since = time.Now()
	}
	if p.ctx.Err() != nil {
		runtime.Goexit() // nobody waits for the result any more; what is deferred tells so
	}
}
