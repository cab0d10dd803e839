package traceload

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/exp/trace"
)

// loadTrace makes a trace of a service under full load, see fixtures/load.
func loadTrace(b *testing.B) []byte {
	b.Helper()
	file := filepath.Join(b.TempDir(), "load.trace")
	if out, err := exec.Command("go", "run", "../fixtures/load", "-o", file, "-size", "20MB").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// perEvent reports what a benchmark that read n events took.
func perEvent(b *testing.B, n int64) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRead is the bare loop over golang.org/x/exp/trace that the others
// are to be compared with.
func BenchmarkRead(b *testing.B) {
	data := loadTrace(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		r, err := trace.NewReader(bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.ReadEvent(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	perEvent(b, n)
}

// BenchmarkWalk is all of it: reading, decoding, and the program's state.
func BenchmarkWalk(b *testing.B) {
	data := loadTrace(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		_, info, err := Walk(input(b, data), discard, nil)
		if err != nil {
			b.Fatal(err)
		}
		n += info.Events
	}
	perEvent(b, n)
}

// BenchmarkDecode is what the decoder adds to reading: records from raw events.
func BenchmarkDecode(b *testing.B) {
	d, raws := rawEvents(b, loadTrace(b), 200)
	out := new(batch)
	before := d.events
	b.ReportAllocs()
	for b.Loop() {
		for _, raw := range raws {
			if err := d.decode(out, raw); err != nil {
				b.Fatal(err)
			}
		}
	}
	perEvent(b, d.events-before)
}

// BenchmarkApply is what the walk adds to that: the program's state from records.
func BenchmarkApply(b *testing.B) {
	d, raws := rawEvents(b, loadTrace(b), 200)
	batches, n := decodeAll(b, d, raws)
	p := newProgram(nil)
	events := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		p.t = d.in.tables
		begin(p) // again
		for _, batch := range batches {
			applyAll(p, &batch.records)
		}
		events += n
	}
	perEvent(b, events)
}

// begin ends all goroutines of p.
func begin(p *Program) {
	for g := range p.Live {
		g.State = StateEnded
		p.byID.remove(g)
		p.free = append(p.free, g.Slot)
	}
}

func applyAll(p *Program, b *records) {
	p.take(b)
	for p.next() != nil {
	}
}

// rawEvents reads at most n batches of raw events.
func rawEvents(t testing.TB, data []byte, n int) (*decoder, []*rawBatch) {
	t.Helper()
	d := newTestDecoder(bytes.NewReader(data), maxGeneration)
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	var raws []*rawBatch
	for len(raws) < n {
		raw := new(rawBatch)
		d.fill(raw)
		raws = append(raws, raw)
		if raw.err != nil {
			if !errors.Is(raw.err, io.EOF) {
				t.Fatal(raw.err)
			}
			break
		}
	}
	return d, raws
}

// decodeAll makes records of raw batches, and counts the events.
func decodeAll(t testing.TB, d *decoder, raws []*rawBatch) (batches []*batch, events int64) {
	t.Helper()
	before := d.events
	for _, raw := range raws {
		b := new(batch)
		if err := d.decode(b, raw); err != nil {
			t.Fatal(err)
		}
		batches = append(batches, b)
	}
	return batches, d.events - before
}

// TestAllocations checks that neither decoding nor keeping the program's state
// allocates memory per event: when all stacks and as many goroutines have been
// seen before, there is nothing to allocate.
func TestAllocations(t *testing.T) {
	data := traced(t, func() {
		var (
			wg sync.WaitGroup
			mu sync.Mutex
		)
		for range 4 {
			wg.Go(func() {
				for range 1000 {
					done := make(chan int)
					go func() {
						mu.Lock()
						defer mu.Unlock()
						close(done)
					}()
					<-done
				}
			})
		}
		wg.Wait()
	})
	d, raws := rawEvents(t, data, 1000)
	batches, events := decodeAll(t, d, raws)
	if events < 10_000 {
		t.Fatalf("%d events, want some more", events)
	}
	out := new(batch)
	if n := testing.AllocsPerRun(10, func() {
		for _, raw := range raws {
			if err := d.decode(out, raw); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 100 { // a few per generation, for its sync event
		t.Errorf("decoding %d events again allocates %v times", events, n)
	}
	p := newProgram(nil)
	p.t = d.in.tables
	if n := testing.AllocsPerRun(10, func() {
		begin(p) // again
		for _, b := range batches {
			applyAll(p, &b.records)
		}
	}); n > 10 {
		t.Errorf("keeping state over %d events again allocates %v times", events, n)
	}
}
