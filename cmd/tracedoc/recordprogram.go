package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The package flight looks for these in the environment.
const (
	flightDir    = "TRACEDOC_FLIGHT_DIR"    // where snapshots go
	flightSignal = "TRACEDOC_FLIGHT_SIGNAL" // on which it takes one
	flightWindow = "TRACEDOC_FLIGHT_WINDOW" // how much of the past a snapshot holds
)

// How long a program may take to start its flight recorder before the user is
// told, and to write a snapshot; and how often we look.
const (
	flightStart  = 5 * time.Second
	flightWrites = 15 * time.Second
	flightLook   = 50 * time.Millisecond
)

// recordProgram runs a program that records itself, until it ends, the time is
// over or somebody interrupts us.
func (t *tool) recordProgram(ctx context.Context, args []string, f *recordFlags, p *plan) (recording, error) {
	dir, abs, err := f.newFolder()
	if err != nil {
		return recording{}, err
	}
	variables := []string{flightDir + "=" + abs}
	if snapshotSignal != "" {
		variables = append(variables, flightSignal+"="+snapshotSignal)
	}
	until, cancel := ctx, context.CancelFunc(func() {})
	if f.length > 0 {
		variables = append(variables, flightWindow+"="+f.length.String())
		until, cancel = context.WithTimeout(ctx, f.length)
	}
	defer cancel()
	c, err := t.start(args, t.programOutput(p.outputs), variables...)
	if err != nil {
		_ = os.Remove(dir) // it was made for this
		return recording{}, err
	}
	hint := time.AfterFunc(flightStart, func() {
		if len(started(abs)) == 0 {
			t.note("%s has started no flight recorder so far; %s", args[0], howToFly)
		}
	})
	defer hint.Stop()
	asked := false
	err = c.wait(until, func(ctx context.Context) { asked = t.lastSnapshot(ctx, c, abs) })
	var rec recording
	switch {
	case until.Err() != nil: // it ended because we wanted it to
	case err != nil:
		rec.failed = true
		t.note("%s failed: %s", args[0], outcome(err))
	}
	if rec.traces, err = tracesIn(context.WithoutCancel(ctx), dir); err != nil {
		return rec, fmt.Errorf("%s: cannot look for traces: %w", dir, reason(err))
	}
	if len(rec.traces) == 0 {
		uses := len(started(abs)) > 0
		_ = os.Remove(dir) // if there is nothing in it
		if uses {
			return rec, fmt.Errorf("%s took no snapshot: it ended before its flight recorder was asked for one, and without closing it", args[0])
		}
		return rec, fmt.Errorf("%s recorded nothing: %s", args[0], howToFly)
	}
	if asked {
		// What it wrote when it ended shows the same again, and besides how it was ended by us.
		rec.traces = slices.DeleteFunc(rec.traces, func(name string) bool { return strings.HasSuffix(name, exitSnapshot) })
	}
	t.note("the traces of %s are in %s", args[0], dir)
	return rec, nil
}

const howToFly = `it should use the package flight of tracedoc, or serve net/http/pprof for "tracedoc record host:port", or write a trace itself (runtime/trace) for "tracedoc analyze"`

// started returns the processes that said that they keep a flight recorder.
func started(dir string) (pids []int) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.started.json")) // the pattern is right
	for _, name := range files {
		var said struct{ Pid int }
		if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &said) == nil {
			pids = append(pids, said.Pid)
		}
	}
	return pids
}

// exitSnapshot is how the names of snapshots end that are taken when the recorder is closed.
const exitSnapshot = "-exit.trace"

// lastSnapshot asks the program for a snapshot before it ends, and tells whether it came.
func (t *tool) lastSnapshot(ctx context.Context, c *child, dir string) bool {
	before := snapshots(dir)
	asked := 0
	for _, pid := range started(dir) {
		if c.snapshot(pid) {
			asked++
		}
	}
	if asked == 0 {
		return false
	}
	patience := time.NewTimer(flightWrites)
	defer patience.Stop()
	for snapshots(dir) < before+asked {
		select {
		case <-time.After(flightLook):
		case <-patience.C:
			t.note("warning: no snapshot came within %v", flightWrites)
			return false
		case <-c.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// snapshots counts the snapshots that are there; each appears when it is whole.
func snapshots(dir string) int {
	files, _ := filepath.Glob(filepath.Join(dir, "*.trace")) // the pattern is right
	return len(files)
}
