package flight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/trace"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/render"
)

// Cause is what a snapshot was taken for.
type Cause string

// The causes. Each has its own turns under Options.Interval.
const (
	CauseSlowRequest Cause = "slow-request"
	CauseGoroutines  Cause = "goroutines" // too many
	CauseGrowth      Cause = "growth"     // of their number
	CauseDeadlines   Cause = "deadlines"
	CauseSignal      Cause = "signal"
	CauseHTTP        Cause = "http" // somebody asked Handler for it
	CauseCall        Cause = "call" // of Snapshot or Trigger
	CauseExit        Cause = "exit" // for tracedoc record
)

// automatic tells whether nobody has asked for it.
func (c Cause) automatic() bool {
	switch c {
	case CauseSlowRequest, CauseGoroutines, CauseGrowth, CauseDeadlines:
		return true
	}
	return false
}

// Snapshot is a trace that was kept. Beside NAME.trace lies NAME.json, which holds
// the same.
type Snapshot struct {
	Schema     string        `json:"schema"` // Schema
	Name       string        `json:"name"`   // of the file, without its suffix
	Path       string        `json:"-"`      // of the trace
	Program    string        `json:"program"`
	PID        int           `json:"pid"`
	Go         string        `json:"go"`
	Revision   string        `json:"revision,omitempty"` // that the program was built from, if it knows
	Time       time.Time     `json:"time"`               // at the end of the trace
	Cause      Cause         `json:"cause"`
	Reason     string        `json:"reason"` // in a few words
	Goroutines int           `json:"goroutines"`
	Bytes      int64         `json:"bytes"`
	Took       time.Duration `json:"took_ns"` // to write it
}

// Schema names the format of what lies beside a trace.
const Schema = "tracedoc/flight/v1"

// LimitedError says that it is not time yet for another snapshot.
type LimitedError struct {
	Cause Cause
	Wait  time.Duration
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("flight: the last snapshot for %s is too recent: the next one can be had in %v", e.Cause, e.Wait.Round(time.Millisecond))
}

var (
	errNoRecorder = errors.New("flight: nothing is being recorded")
	errNoDir      = errors.New("flight: there is no folder to keep snapshots in: set Options.Dir")
	errCrowded    = errors.New("flight: too many snapshots are waiting to be written")
)

// Trigger asks for a snapshot, says in a few words why, and returns at once. Where
// it is not time yet, or there is no folder to keep it in, nothing happens.
func (r *Recorder) Trigger(reason string) { r.trigger(CauseCall, reason) }

// Snapshot keeps the last seconds and returns when they are written. The error is
// a [*LimitedError] if it is not time yet.
func (r *Recorder) Snapshot(ctx context.Context, reason string) (Snapshot, error) {
	return r.ask(ctx, CauseCall, reason)
}

// request is a snapshot that is to be taken.
type request struct {
	cause  Cause
	reason string
	done   chan outcome // has room for one
}

type outcome struct {
	snapshot Snapshot
	err      error
}

// trigger asks for a snapshot without waiting for it.
func (r *Recorder) trigger(cause Cause, reason string) { _, _ = r.request(cause, reason) }

// ask waits for a snapshot.
func (r *Recorder) ask(ctx context.Context, cause Cause, reason string) (Snapshot, error) {
	q, err := r.request(cause, reason)
	if err != nil {
		return Snapshot{}, err
	}
	select {
	case o := <-q.done:
		return o.snapshot, o.err
	case <-r.ctx.Done():
		return Snapshot{}, errNoRecorder
	case <-ctx.Done():
		return Snapshot{}, fmt.Errorf("flight: the snapshot is not written yet: %w", ctx.Err())
	}
}

func (r *Recorder) request(cause Cause, reason string) (*request, error) {
	switch {
	case r == nil || r.ctx.Err() != nil:
		return nil, errNoRecorder
	case r.store == nil:
		return nil, errNoDir
	}
	r.stats.triggers.Add(1)
	if !r.driven.exempt(cause) {
		if wait := r.limit.take(cause); wait > 0 {
			r.stats.limited.Add(1)
			return nil, &LimitedError{cause, wait}
		}
	}
	q := &request{cause, shorten(render.Printable(reason)), make(chan outcome, 1)}
	// So that the trace shows when, and on which goroutine. Before anybody can take
	// the snapshot, which would otherwise lack it.
	trace.Log(r.ctx, "tracedoc/flight", q.reason)
	select {
	case r.requests <- q:
	default:
		r.stats.limited.Add(1)
		return nil, errCrowded
	}
	return q, nil
}

// longestReason is how many bytes of a reason are kept: it may come from a client.
const longestReason = 200

func shorten(s string) string {
	if len(s) <= longestReason {
		return s
	}
	return strings.ToValidUTF8(s[:longestReason], "") + "…"
}

// work takes one snapshot after the other.
func (r *Recorder) work() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case q := <-r.requests:
			s, err := r.take(q)
			q.done <- outcome{s, err}
			r.tell(s, err)
		}
	}
}

// take writes a snapshot.
func (r *Recorder) take(q *request) (s Snapshot, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, writeWithin)
	defer cancel()
	s = Snapshot{
		Schema: Schema, Program: r.opt.Name, PID: os.Getpid(), Go: runtime.Version(), Revision: revision(),
		Cause: q.cause, Reason: q.reason, Goroutines: runtime.NumGoroutine(),
	}
	removed, err := r.store.save(&s, func(w io.Writer) error { return r.window.writeTo(ctx, w) })
	r.stats.removed.Add(int64(removed))
	if err != nil {
		r.stats.failed.Add(1)
		return s, fmt.Errorf("flight: %s: cannot keep the snapshot for %s: %w", r.opt.Dir, q.cause, reason(err))
	}
	r.stats.snapshots.Add(1)
	return s, nil
}

// writeWithin is how long a snapshot may take to be written.
const writeWithin = 30 * time.Second

// tell passes on what became of a snapshot.
func (r *Recorder) tell(s Snapshot, err error) {
	if err != nil {
		r.opt.Logger.Warn(err.Error(), "reason", s.Reason)
	} else {
		r.opt.Logger.Info("flight: kept a snapshot", "trace", s.Path, "cause", s.Cause, "reason", s.Reason, "bytes", s.Bytes)
	}
	if r.opt.OnSnapshot == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			r.opt.Logger.Error("flight: OnSnapshot panicked", "panic", v)
		}
	}()
	r.opt.OnSnapshot(r.ctx, s, err)
}

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
