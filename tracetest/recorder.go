package tracetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/trace"
	"sync"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// category is that of the log events by which a trace names its tests; the
// detectors know it. The message is "begin" or "end", and the test's name.
const category = "tracedoc/test"

func mark(what, test string) { trace.Log(context.Background(), category, what+" "+test) }

// windowBytes is how much of the trace is kept in memory, about.
const windowBytes = 64 << 20

// recorder records as long as somebody needs it. There is one, since the
// runtime has one flight recorder.
type recorder struct {
	mu     sync.Mutex
	users  int
	flight *trace.FlightRecorder
}

var shared recorder

// join starts recording if nobody else did. After it leave must be called once.
func (r *recorder) join() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		fr := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 24 * time.Hour, MaxBytes: windowBytes})
		if err := fr.Start(); err != nil {
			return fmt.Errorf("cannot record a trace: %w", err)
		}
		r.flight = fr
	}
	r.users++
	return nil
}

// leave stops recording if nobody else needs it any more.
func (r *recorder) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 {
		r.flight.Stop()
		r.flight = nil
	}
}

// snapshot returns the trace up to now.
func (r *recorder) snapshot() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight == nil {
		return nil, fmt.Errorf("no trace is being recorded")
	}
	var b bytes.Buffer
	if _, err := r.flight.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("cannot take a snapshot of the trace: %w", err)
	}
	return b.Bytes(), nil
}

// settle waits until the goroutines of a test that has ended have ended too, or
// for as long as grace, and returns the trace up to then.
func (r *recorder) settle(test string, grace time.Duration) ([]byte, error) {
	end := time.Now().Add(grace)
	for pause := 500 * time.Microsecond; ; pause *= 2 {
		data, err := r.snapshot()
		if err != nil {
			return nil, err
		}
		n, err := leftover(data, test)
		if err != nil {
			return nil, err
		}
		left := time.Until(end)
		if n == 0 || left <= 0 {
			return data, nil
		}
		time.Sleep(min(pause, left))
	}
}

// leftover counts the goroutines that a test has started, by however many
// others, and that are alive at the end of the trace: without the test's own,
// and without those in which no code but the standard library's waits.
func leftover(data []byte, test string) (int, error) {
	family := map[traceload.GoID]bool{}
	var root traceload.GoID = traceload.NoGoroutine
	p, err := walk(data, func(p *traceload.Program, ev *traceload.Event) {
		switch ev.Kind {
		case traceload.KindLog:
			if ev.G != nil && p.String(ev.Text) == category {
				if msg := p.String(ev.Text2); msg == "begin "+test || msg == "end "+test {
					root = ev.G.ID
					family[root] = true
				}
			}
		case traceload.KindCreate:
			if ev.By != nil && family[ev.By.ID] {
				family[ev.G.ID] = true
			}
		case traceload.KindEnd:
			delete(family, ev.G.ID)
		}
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for id := range family {
		g := p.Goroutine(id)
		if g == nil || g.System || id == root || g.State == traceload.StateWaiting && !inUserCode(p, g) {
			continue
		}
		n++
	}
	return n, nil
}

func inUserCode(p *traceload.Program, g *traceload.Goroutine) bool {
	site := p.Site(g.Stack)
	return site != nil && site.Origin == traceload.OriginUser
}

func walk(data []byte, observe func(*traceload.Program, *traceload.Event)) (*traceload.Program, error) {
	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: bytes.NewReader(data)})
	if err != nil {
		return nil, err
	}
	p, _, err := traceload.Walk(in, observe, nil)
	_ = in.Close() // it was only read from
	return p, err
}
