package flight

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// driven is how tracedoc record -- PROGRAM reaches into a program that uses this
// package, by its environment: it wants the snapshots in a folder of its own, asks
// for them with a signal, and wants one when the program ends.
type driven struct {
	dir, signal, window string
	started             string // path of the file that says we are here
}

const (
	dirVariable    = "TRACEDOC_FLIGHT_DIR"
	signalVariable = "TRACEDOC_FLIGHT_SIGNAL"
	windowVariable = "TRACEDOC_FLIGHT_WINDOW"
)

// drivenBy returns nil if nobody runs this program for its snapshots.
func drivenBy(getenv func(string) string) *driven {
	d := &driven{dir: getenv(dirVariable), signal: getenv(signalVariable), window: getenv(windowVariable)}
	if d.dir == "" {
		return nil
	}
	return d
}

// leastKept is how many snapshots a recording has at least.
const leastKept = 16

// apply changes options to what the recording needs.
func (d *driven) apply(opt *Options) error {
	if d == nil {
		return nil
	}
	opt.Dir = d.dir
	opt.Keep = max(opt.Keep, leastKept)
	if d.window != "" {
		w, err := time.ParseDuration(d.window)
		if err != nil || w <= 0 {
			return fmt.Errorf("flight: %s=%s: expected a duration such as 30s", windowVariable, d.window)
		}
		opt.Window = w
	}
	if d.signal != "" {
		s, ok := signalByName(d.signal)
		if !ok {
			return fmt.Errorf("flight: %s=%s: expected SIGUSR1, SIGUSR2, SIGHUP or SIGQUIT", signalVariable, d.signal)
		}
		opt.Signals = append(opt.Signals[:len(opt.Signals):len(opt.Signals)], s)
	}
	return nil
}

// exempt tells whether a snapshot is one that the recording asks for: those are not limited.
func (d *driven) exempt(cause Cause) bool {
	return d != nil && (cause == CauseSignal || cause == CauseExit)
}

// announce says that this program listens.
func (d *driven) announce(r *Recorder) error {
	if d == nil {
		return nil
	}
	t, err := r.store.write(func(w io.Writer) error {
		return json.NewEncoder(w).Encode(map[string]any{"schema": Schema, "pid": os.Getpid(), "window_ns": r.opt.Window, "signal": d.signal})
	})
	if err == nil {
		defer t.discard()
		path := filepath.Join(d.dir, fmt.Sprintf("%s-%d.started.json", r.opt.Name, os.Getpid()))
		if err = t.move(path); err == nil {
			d.started = path
		}
	}
	if err != nil {
		return fmt.Errorf("flight: %s: cannot say that recording has begun: %w", d.dir, reason(err))
	}
	return nil
}

// withdraw says that it does not any more.
func (d *driven) withdraw() {
	if d != nil && d.started != "" {
		_ = os.Remove(d.started) // the folder may have gone by now
	}
}
