package traceload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/exp/trace"
)

// eventsPerGeneration counts the raw events of each generation of a whole trace.
func eventsPerGeneration(t testing.TB, data []byte) []int64 {
	t.Helper()
	r, err := trace.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var counts []int64
	for {
		ev, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return counts[:len(counts)-1] // nothing follows the last sync
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind() == trace.EventSync {
			counts = append(counts, 0)
		} else {
			counts[len(counts)-1]++
		}
	}
}

// TestCut cuts each trace at many bytes. All generations before the cut must
// have been told, and what is left of the broken one must be counted.
func TestCut(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			t.Parallel()
			starts := generations(t, rec.data)
			counts := []int64{0}
			if starts != nil {
				counts = eventsPerGeneration(t, rec.data)
				if len(counts) != len(starts)-1 {
					t.Fatalf("%d generations, and %d by their batches", len(counts), len(starts)-1)
				}
			}
			for cut := range len(rec.data) {
				near := cut <= 64
				for _, start := range starts {
					near = near || max(cut-start, start-cut) <= 16
				}
				if !near && cut%251 != 0 {
					continue
				}
				p, info, err := walkBytes(t, rec.data[:cut])
				whole, events := 0, int64(0) // before the cut
				for whole < len(counts) && starts != nil && starts[whole+1] <= cut {
					events += counts[whole]
					whole++
				}
				switch {
				case whole == 0:
					if err == nil {
						t.Errorf("cut at byte %d, before the first generation's end: %+v", cut, info)
					} else if cut > headerSize && starts != nil && !errors.Is(err, ErrNoEvidence) {
						t.Errorf("cut at byte %d: %v", cut, err)
					}
				case err != nil:
					t.Errorf("cut at byte %d, after %d generations: %v", cut, whole, err)
				case info.Events < events || info.Events > events+counts[whole] || rec.version >= 26 && info.Events > events:
					t.Errorf("cut at byte %d, after %d generations: %d events, want %d (%s)", cut, whole, info.Events, events, info.Why)
				case info.Bytes != int64(cut) || info.Unread != int64(cut-starts[whole]) || info.Complete != (info.Unread == 0):
					t.Errorf("cut at byte %d of the generation that begins at %d: %+v", cut, starts[whole], info)
				case p.Now <= 0:
					t.Errorf("cut at byte %d: no time passed", cut)
				}
				if t.Failed() && whole > 2 {
					return
				}
			}
		})
	}
}

// TestFlips flips bytes. Damage may go unnoticed, but all generations before it
// must have been told, and there is nothing worse.
func TestFlips(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			t.Parallel()
			var places []int
			starts := generations(t, rec.data)
			counts := []int64{0}
			if starts != nil {
				counts = eventsPerGeneration(t, rec.data)
				for _, start := range starts[:len(starts)-1] { // the first batch headers
					for at := start; at < start+16; at++ {
						places = append(places, at)
					}
				}
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 120 {
				places = append(places, headerSize+random.IntN(len(rec.data)-headerSize))
			}
			told := 0
			for _, at := range places {
				data := bytes.Clone(rec.data)
				data[at] ^= byte(1 + random.IntN(255))
				_, info, err := walkBytes(t, data)
				if err != nil || !info.Complete {
					told++
				}
				whole, events := 0, int64(0) // before the flipped byte
				for starts != nil && starts[whole+1] <= at {
					events += counts[whole]
					whole++
				}
				// Where the very first event of a thread is damaged, the generation before counts as broken.
				if whole > 0 && (err != nil || info.Events < events || info.Unread > int64(len(data)-starts[whole-1])) {
					t.Errorf("byte %d flipped, in the generation that begins at %d, with %d events before: %v, %+v", at, starts[whole], events, err, info)
				}
			}
			if told == 0 {
				t.Errorf("none of %d flipped bytes was noticed", len(places))
			}
		})
	}
}

// TestMissing takes whole batches out of a trace and doubles others.
func TestMissing(t *testing.T) {
	for _, rec := range recordings(t) {
		starts := generations(t, rec.data)
		if starts == nil {
			continue
		}
		t.Run(rec.name, func(t *testing.T) {
			head, last := rec.data[:starts[0]], len(starts)-2
			generation := func(i int) []byte { return rec.data[starts[i]:starts[i+1]] }
			for name, data := range map[string][]byte{
				"the first missing":  slices.Concat(head, generation(1), generation(2)),
				"one missing":        slices.Concat(head, generation(0), generation(2)),
				"one twice":          slices.Concat(head, generation(0), generation(1), generation(1)),
				"in the wrong order": slices.Concat(head, generation(1), generation(0)),
				"a header within":    slices.Concat(rec.data, head, rec.data),
				"the last alone":     slices.Concat(head, generation(last)),
			} {
				_, info, err := walkBytes(t, data)
				t.Logf("%s: %v %+v", name, err, info)
			}
		})
	}
}

// TestPanics checks that a panic of golang.org/x/exp/trace is told as damage, and
// that what came before is kept.
func TestPanics(t *testing.T) {
	rec := today(t)
	starts, counts := generations(t, rec.data), eventsPerGeneration(t, rec.data)

	t.Run("getter", func(t *testing.T) {
		// A batch of an experiment that does not exist makes Event.Sync panic.
		batch := []byte{tagExperimentalBatch, 200, 2, 1, 1, 0}
		data := slices.Insert(bytes.Clone(rec.data), starts[1], batch...)
		_, info, err := WalkWith(input(t, data), discard, nil, Limits{reference: true})
		want := fmt.Sprintf("damaged at event %d: runtime error: index out of range", counts[0])
		if err != nil || !strings.HasPrefix(info.Why, want) || info.Events != counts[0] || info.Unread != int64(len(data)-starts[1]) {
			t.Errorf("%v, %+v, want %s", err, info, want)
		}
	})
	t.Run("reader", func(t *testing.T) {
		d := newTestDecoder(bytes.NewReader(rec.data), maxGeneration)
		if err := d.open(); err != nil {
			t.Fatal(err)
		}
		d.reader = nil // so that reading panics
		go d.run()
		for b := range d.full {
			d.free <- b
		}
		if d.err == nil || !strings.HasPrefix(d.err.Error(), "damaged at event 0: runtime error") {
			t.Errorf("%v, want damage", d.err)
		}
	})
}
