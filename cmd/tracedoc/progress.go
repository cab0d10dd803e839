package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/traceload"
)

// meter shows on a terminal how far the reading of one trace is: one line of
// standard error, written anew now and then and wiped away at the end.
type meter struct {
	source  string
	records atomic.Int64                    // nanoseconds that a server was asked to record
	in      atomic.Pointer[traceload.Input] // nil until the trace is open
	done    chan struct{}
	gone    sync.WaitGroup
}

// Nothing is shown of what takes less than patience: it would only flicker.
const (
	meterPatience = 300 * time.Millisecond
	meterPeriod   = 100 * time.Millisecond
)

// newMeter starts a meter; it stays silent where standard error is no terminal.
func (t *tool) newMeter(source string) *meter {
	m := &meter{source: source, done: make(chan struct{})}
	if fd, ok := terminal(t.stderr); ok {
		width := render.DefaultWidth
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			width = w
		}
		m.gone.Go(func() { m.show(t.stderr, width) })
	}
	return m
}

// recording tells the meter that a server was asked for a trace.
func (m *meter) recording(_ string, length time.Duration) { m.records.Store(int64(length)) }

// reading tells the meter that the trace is open.
func (m *meter) reading(in *traceload.Input) { m.in.Store(in) }

// stop wipes the line away.
func (m *meter) stop() {
	close(m.done)
	m.gone.Wait()
}

func (m *meter) show(w io.Writer, width int) {
	const wipe = "\r\x1b[K"
	start, shown := time.Now(), false
	ticks := time.NewTicker(meterPeriod)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			elapsed := time.Since(start)
			if text := m.status(elapsed); text != "" && elapsed >= meterPatience {
				// The last column stays free: some terminals wrap when it is written to.
				fmt.Fprint(w, wipe, render.Shorten(text, width-1))
				shown = true
			}
		case <-m.done:
			if shown {
				fmt.Fprint(w, wipe)
			}
			return
		}
	}
}

// status words how far the reading is after some time; "" if there is nothing to say.
func (m *meter) status(elapsed time.Duration) string {
	in, records := m.in.Load(), time.Duration(m.records.Load())
	name := render.Printable(m.source)
	switch {
	case records > 0 && elapsed < records:
		return fmt.Sprintf("%s: the server records for %v, %v to go", name, records, (records-elapsed).Truncate(time.Second)+time.Second)
	case in == nil:
		return ""
	}
	const mega = 1e6
	read := float64(in.PackedBytes())
	rate := read / max((elapsed-records).Seconds(), 0.1) / mega
	if in.Size > 0 && read >= float64(in.Size) { // the decoder is ahead by a generation
		return fmt.Sprintf("%s: all %.1f MB read, analysing the rest", name, read/mega)
	}
	if in.Size > 0 {
		return fmt.Sprintf("%s: %.0f%% of %.1f MB, %.1f MB/s", name, 100*read/float64(in.Size), float64(in.Size)/mega, rate)
	}
	return fmt.Sprintf("%s: %.1f MB, %.1f MB/s", name, read/mega, rate)
}
