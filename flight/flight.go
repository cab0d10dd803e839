package flight

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

// Options says what to record, when to keep it, and how much of it. The zero
// value records the last ten seconds, for [Recorder.Handler] to report on, and
// keeps nothing.
type Options struct {
	// Dir is where snapshots are kept; it is made if it is not there. Without it
	// nothing is written to disk. Several programs may share it.
	Dir string
	// Name begins the name of every snapshot; "" means that of the program. Of
	// what is in Dir only files that begin with it are ever removed.
	Name string

	// Window is how much of the past is kept in memory; 0 means 10 seconds.
	// WindowBytes bounds it, whatever Window says; 0 means 16 MB. The memory that
	// it takes is at most about twice that, see the package documentation.
	Window      time.Duration
	WindowBytes int64

	// Keep is how many snapshots are kept in Dir, and KeepBytes how many bytes of
	// them; the oldest go first. 0 means 10, and 256 MB.
	Keep      int
	KeepBytes int64
	// Interval is the least time between two snapshots for the same [Cause], 0
	// means 30 seconds. It doubles, up to an hour, while what triggers by itself
	// does so again and again: the first snapshots of a long trouble are the ones
	// to look at, and must not be crowded out by the last.
	Interval time.Duration

	// SlowRequest makes [Recorder.Middleware] trigger where a request takes that
	// long; 0 means that none does. It triggers when the request has ended, since
	// only then the trace tells what it waited for, or while it still runs, when
	// the window is about to lose its beginning.
	SlowRequest time.Duration
	// SkipRequest tells of requests that are meant to take long. Those for paths
	// below /debug/, for event streams and for other protocols (WebSocket) are
	// left out without it. May be nil.
	SkipRequest func(*http.Request) bool
	// Goroutines triggers where there are so many goroutines, and GoroutineGrowth
	// where there are so many more than at some time in the last minute; 0 means
	// never. They are counted once a second.
	Goroutines      int
	GoroutineGrowth int
	// Deadlines triggers where so many deadlines expired within a second, of
	// those that the recorder is told of: by [Recorder.Deadline],
	// [Recorder.Transport] and [Recorder.Middleware]. 0 means never.
	Deadlines int
	// Signals trigger. After a snapshot for SIGQUIT the signal is sent again, with
	// the effect that it would have had: Go prints all stacks and exits. All
	// others have no effect any more but the snapshot.
	Signals []os.Signal

	// OnSnapshot is called after each snapshot, or with the reason in one line why
	// there is none. The next one waits until it returns, and so does Close; ctx is
	// done then. It may panic. May be nil.
	OnSnapshot func(ctx context.Context, s Snapshot, err error)
	// Logger is told the same; nil means [slog.Default].
	Logger *slog.Logger

	// KnownWaits are waits of the service's own that are as they should be, as in
	// .tracedoc.yaml.
	KnownWaits []detectors.KnownWait
	// Share is how much of one processor an analysis may take, about; 0 means a
	// quarter.
	Share float64
}

func (o *Options) complete() error {
	defaults := Options{
		Window: 10 * time.Second, WindowBytes: 16 << 20, Keep: 10, KeepBytes: 256 << 20,
		Interval: 30 * time.Second, Share: 0.25, Name: filepath.Base(os.Args[0]), Logger: slog.Default(),
	}
	if o.Name == "" {
		o.Name = defaults.Name
	}
	o.Name = fileName(o.Name)
	if o.Window == 0 {
		o.Window = defaults.Window
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = defaults.WindowBytes
	}
	if o.Keep == 0 {
		o.Keep = defaults.Keep
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = defaults.KeepBytes
	}
	if o.Interval == 0 {
		o.Interval = defaults.Interval
	}
	if o.Share == 0 {
		o.Share = defaults.Share
	}
	if o.Logger == nil {
		o.Logger = defaults.Logger
	}
	switch {
	case o.Window < 0, o.WindowBytes < 0, o.Keep < 0, o.KeepBytes < 0, o.Interval < 0, o.SlowRequest < 0,
		o.Goroutines < 0, o.GoroutineGrowth < 0, o.Deadlines < 0:
		return errors.New("flight: an option is negative: leave out what you do not need")
	case o.Share < 0 || o.Share > 1:
		return fmt.Errorf("flight: a share of %g: it must be between 0 and 1", o.Share)
	}
	for _, k := range o.KnownWaits {
		if err := k.Validate(); err != nil {
			return fmt.Errorf("flight: %w", err)
		}
	}
	return nil
}

// Recorder keeps the last seconds of the program's trace. Its methods may be
// called from any goroutine. Those of a nil Recorder do nothing, so that a
// service whose recorder could not be started goes on without.
type Recorder struct {
	opt    Options
	window *window
	store  *store // nil without a folder
	limit  *limiter
	driven *driven // nil if no tracedoc record runs this program

	ctx      context.Context // done when Close is called
	cancel   context.CancelFunc
	closing  sync.Once
	closed   error
	ending   sync.Mutex     // held while ctx is cancelled, and while something new begins
	running  sync.WaitGroup // what Close waits for
	requests chan *request
	judging  chan struct{} // holds one token: who has it may analyse
	expired  *storm        // nil if nobody counts deadlines
	stats    counters
}

// Start begins to record. The runtime has one flight recorder, so a program can
// have one Recorder at a time; others that write a trace (the handler of
// net/http/pprof, go test -trace) may do so beside it. The error says in one line
// what is wrong; a service should log it and go on, with the nil Recorder that
// comes with it.
func Start(opt Options) (*Recorder, error) {
	driven := drivenBy(os.Getenv)
	if err := driven.apply(&opt); err != nil {
		return nil, err
	}
	if err := opt.complete(); err != nil {
		return nil, err
	}
	r := &Recorder{
		opt:      opt,
		limit:    newLimiter(opt.Interval, time.Now),
		driven:   driven,
		requests: make(chan *request, 16), // more than there are causes
		judging:  make(chan struct{}, 1),
	}
	if opt.Deadlines > 0 {
		r.expired = &storm{times: make([]time.Time, opt.Deadlines)}
	}
	var err error
	if opt.Dir != "" {
		if r.store, err = openStore(opt.Dir, opt.Name, opt.Keep, opt.KeepBytes); err != nil {
			return nil, err
		}
	}
	if r.window, err = openWindow(opt.Window, opt.WindowBytes); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(r.work)
	r.running.Go(func() { r.window.keepSmall(r.ctx) })
	if opt.Goroutines > 0 || opt.GoroutineGrowth > 0 {
		r.running.Go(r.watchGoroutines)
	}
	r.watchSignals()
	if err := driven.announce(r); err != nil {
		_ = r.Close() // the first error is the one to tell
		return nil, err
	}
	return r, nil
}

// patience is how long Close waits for what it does not control: a callback, or
// somebody who reads another trace so slowly that the runtime cannot end this one.
const patience = 5 * time.Second

// Close ends recording, and all that Start has started. It waits a few seconds for
// what does not end by itself; the error says what that is.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.closing.Do(func() {
		if r.driven != nil {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			_, _ = r.ask(ctx, CauseExit, "the program ends") // the logger tells why there is none
			cancel()
		}
		r.ending.Lock()
		r.cancel()
		r.ending.Unlock()
		over := make(chan struct{})
		go func() {
			r.running.Wait()
			close(over)
		}()
		select {
		case <-over:
		case <-time.After(patience):
			r.closed = errors.New("flight: OnSnapshot does not return: it should when its context is done")
		}
		if err := r.window.close(patience); err != nil {
			r.closed = errors.Join(r.closed, err)
		}
		r.driven.withdraw()
	})
	return r.closed
}

// begin runs f on a goroutine that Close waits for; not after Close.
func (r *Recorder) begin(f func()) error {
	r.ending.Lock()
	defer r.ending.Unlock()
	if r.ctx.Err() != nil {
		return errNoRecorder
	}
	r.running.Go(f)
	return nil
}

// Stats says what a Recorder has done so far.
type Stats struct {
	Triggers  int64 `json:"triggers"`   // snapshots that were asked for, by whatever
	Limited   int64 `json:"limited"`    // of them, left out because of Interval, or because too many were waiting
	Snapshots int64 `json:"snapshots"`  // written
	Failed    int64 `json:"failed"`     // not written, for a reason that was told
	Removed   int64 `json:"removed"`    // old ones, to make room
	Reports   int64 `json:"reports"`    // answers of Handler that needed an analysis
	Busy      int64 `json:"busy"`       // requests that Handler turned away since it had one running
	HeldBytes int64 `json:"held_bytes"` // of the window, when it was last looked at
}

type counters struct {
	triggers, limited, snapshots, failed, removed, reports, busy atomic.Int64
}

// Stats returns what has happened so far.
func (r *Recorder) Stats() Stats {
	if r == nil {
		return Stats{}
	}
	s := &r.stats
	return Stats{
		Triggers: s.triggers.Load(), Limited: s.limited.Load(), Snapshots: s.snapshots.Load(), Failed: s.failed.Load(),
		Removed: s.removed.Load(), Reports: s.reports.Load(), Busy: s.busy.Load(), HeldBytes: r.window.held.Load(),
	}
}
