package flight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"time"
)

// window is the runtime's flight recorder, with what it leaves to its users: one
// WriteTo at a time, none after Stop, and a bound to what is held.
type window struct {
	recorder *trace.FlightRecorder
	bytes    int64         // what it should hold at most
	turn     chan struct{} // holds one token: who has it may use recorder
	stopped  bool          // by whoever has the turn
	held     atomic.Int64  // what it held when it was last written
}

func openWindow(age time.Duration, bytes int64) (*window, error) {
	w := &window{
		recorder: trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: age, MaxBytes: uint64(bytes)}),
		bytes:    bytes,
		turn:     make(chan struct{}, 1),
	}
	if err := w.recorder.Start(); err != nil {
		return nil, fmt.Errorf("flight: cannot record: %w; a program can have one flight recorder at a time", err)
	}
	return w, nil
}

var (
	errStopped = errors.New("the recorder is closed")
	// errStuck: to cut off what it has, the runtime must first hand it to all that
	// write a trace.
	errStuck = errors.New("the runtime does not hand out the trace: perhaps somebody reads another one, of net/http/pprof or trace.Start, too slowly")
)

// writeTo writes what the window holds. It gives up when ctx is done; nothing is
// written any more then.
func (w *window) writeTo(ctx context.Context, out io.Writer) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return errStuck
	}
	m := &meter{out: out}
	done := make(chan error, 1)
	go func() { // what it waits for in the runtime does not know contexts
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("writing the trace panicked: %v", v)
			}
			<-w.turn
		}()
		if w.stopped {
			done <- errStopped
			return
		}
		_, err := w.recorder.WriteTo(m)
		if err == nil {
			w.held.Store(m.total)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		m.abandon()
		return errStuck
	}
}

// close stops recording, or says why it cannot.
func (w *window) close(patience time.Duration) error {
	stopped := make(chan struct{})
	go func() {
		w.turn <- struct{}{}
		w.stopped = true
		w.recorder.Stop()
		<-w.turn
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("flight: cannot stop recording: %w", errStuck)
	}
}

// meter passes on what a flight recorder writes, and measures its generations: it
// writes a batch at a time, and after each generation one byte. out may be nil.
type meter struct {
	mu          sync.Mutex
	out         io.Writer
	abandoned   bool
	total       int64
	last, begun int64 // bytes of the larger of the last two generations, and of what follows
	previous    int64
}

func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.abandoned {
		return 0, errStuck
	}
	m.total += int64(len(p))
	m.begun += int64(len(p))
	if len(p) == 1 {
		m.last, m.previous, m.begun = max(m.previous, m.begun), m.begun, 0
	}
	if m.out == nil {
		return len(p), nil
	}
	return m.out.Write(p)
}

// abandon waits for a Write that is under way and lets no other begin.
func (m *meter) abandon() {
	m.mu.Lock()
	m.abandoned = true
	m.mu.Unlock()
}

// The runtime ends a generation once a second and holds one whole, however large.
const (
	generation = time.Second
	lookEvery  = 5 * time.Second       // how often to look where generations are small enough
	shortest   = 50 * time.Millisecond // below which generations are not cut
)

// keepSmall bounds what is held. The runtime drops whole generations, and of the
// youngest two none, so a program that writes 50 MB a second would hold 100 MB
// where 16 are asked for. Writing ends a generation; so where they are too large,
// this writes into the void, at the rate at which a quarter of the window fills.
func (w *window) keepSmall(ctx context.Context) {
	timer := time.NewTimer(generation)
	defer timer.Stop()
	cut := time.Now() // when a generation was last ended here
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begin := time.Now()
		m := &meter{}
		length := generation
		if w.writeTo(ctx, m) == nil {
			length = fit(min(begin.Sub(cut), generation), m.last, w.bytes/4)
		}
		cut = time.Now()
		if length == generation {
			length = lookEvery
		}
		timer.Reset(max(length, 4*cut.Sub(begin))) // and never for more than a fifth of the time
	}
}

// fit returns how long a generation should be, if one of that length had so many
// bytes and may have at most limit.
func fit(length time.Duration, bytes, limit int64) time.Duration {
	if bytes <= 0 {
		return generation
	}
	fitting := time.Duration(float64(length) * float64(limit) / float64(bytes))
	return min(max(fitting, shortest), generation)
}
