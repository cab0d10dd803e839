package traceload

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// To fuzz, keep go test from spending a minute on shortening each input that it
// finds interesting:
//
//	go test ./traceload -run '^$' -fuzz FuzzWalk -fuzztime 5m -fuzzminimizetime 10x -parallel 2

// fuzzSeeds returns whole traces and short pieces of them: of each format, and of
// the programs in fixtures.
func fuzzSeeds(f *testing.F) [][]byte {
	var seeds [][]byte
	for _, rec := range recordings(f) {
		seeds = append(seeds, rec.data, rec.data[:min(len(rec.data), 20_000)])
		if starts := generations(f, rec.data); starts != nil {
			// A generation alone is the smallest trace that something can be said about.
			small := append(bytes.Clone(rec.data[:starts[0]]), rec.data[starts[2]:starts[3]]...)
			seeds = append(seeds, small, small[:len(small)-100])
		}
	}
	files, err := filepath.Glob(filepath.Join("..", "fixtures", "*", "defect", "*.trace.zst"))
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range files {
		if i%10 == 0 { // they are much alike
			data := readZstd(f, file)
			seeds = append(seeds, data[:min(len(data), 30_000)])
		}
	}
	return append(seeds, nil, []byte("go 1.26 trace\x00\x00\x00"), []byte("go 1.22 trace\x00\x00\x00\x01\x01\x01\x01\x00"))
}

// FuzzWalk reads arbitrary bytes as a trace. Whatever they are, the walk must
// end with what walkBytes checks.
func FuzzWalk(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		done := deadline(t, 20*time.Second)
		defer done()
		walkBytes(t, data)
	})
}

// deadline ends the process with all stacks if done is not called in time: a
// hang would otherwise look like a slow fuzzer.
func deadline(t *testing.T, d time.Duration) (done func()) {
	timer := time.AfterFunc(d, func() { panic(t.Name() + ": still running after " + d.String()) })
	return func() { timer.Stop() }
}

// FuzzGenerationScanner reads arbitrary bytes in arbitrary pieces. The pieces
// must not matter, nor may a byte be changed or lost.
func FuzzGenerationScanner(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed, uint64(len(seed)))
		f.Add(seed, uint64(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, sizes uint64) {
		whole := &generationScanner{r: bytes.NewReader(data), limit: maxGeneration}
		passed := readAll(t, whole)
		if !bytes.HasPrefix(data, passed) || whole.gap == nil && len(passed) < len(data) {
			t.Fatalf("%d bytes passed on of %d, or others (%v)", len(passed), len(data), whole.gap)
		}
		whole.drain()

		pieces := &generationScanner{r: &piecemeal{data, sizes}, limit: maxGeneration}
		again := readAll(t, pieces)
		// Where a header that must not be passed on is read in pieces, its first bytes are gone already.
		if !bytes.HasPrefix(data, again) || len(again) < len(passed) || len(again) > len(passed)+30 || pieces.gap == nil && len(again) < len(data) {
			t.Fatalf("%d bytes passed on in pieces, %d at once, of %d", len(again), len(passed), len(data))
		}
		pieces.drain()

		for _, s := range []*generationScanner{whole, pieces} {
			if s.offset != int64(len(data)) || s.whole() < 0 || s.whole() > len(s.starts) || s.whole() < len(s.starts)-1 {
				t.Fatalf("%d bytes counted of %d; %d of %d generations whole", s.offset, len(data), s.whole(), len(s.starts))
			}
			last := int64(-1)
			for i := range s.starts {
				if s.start(i) <= last || s.start(i) >= s.offset {
					t.Fatalf("generation %d of %d begins at %d, the one before at %d", i, s.offset, s.start(i), last)
				}
				last = s.start(i)
			}
			if end := s.start(s.whole()); end < last || end > s.offset || s.whole() == len(s.starts) && end == last {
				t.Fatalf("what follows the whole generations begins at %d of %d, the last generation at %d", end, s.offset, last)
			}
		}
		if len(whole.starts) != len(pieces.starts) || whole.whole() != pieces.whole() || whole.version != pieces.version {
			t.Fatalf("%d generations of %d bytes in pieces, %d at once", len(pieces.starts), len(data), len(whole.starts))
		}
		for i := range whole.starts {
			if whole.starts[i] != pieces.starts[i] {
				t.Fatalf("generation %d begins at %d in pieces, at %d at once", i, pieces.starts[i], whole.starts[i])
			}
		}
	})
}

// readAll reads until the end or until the scanner passes on no more.
func readAll(t *testing.T, s *generationScanner) []byte {
	t.Helper()
	data, err := io.ReadAll(s)
	if err != s.gap || s.err != nil {
		t.Fatalf("reading ended with %v, %v", err, s.err)
	}
	return data
}

// piecemeal reads data in pieces of 1 to 16 bytes and now and then a long one,
// as the bits of sizes will have it.
type piecemeal struct {
	data  []byte
	sizes uint64
}

func (p *piecemeal) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	p.sizes = p.sizes*6364136223846793005 + 1442695040888963407
	n := int(p.sizes>>60) + 1
	if p.sizes>>56&7 == 0 {
		n = 5000
	}
	n = copy(b, p.data[:min(n, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

// FuzzOpen unpacks arbitrary bytes. That must end, with at most so many bytes
// as a trace of this length may have.
func FuzzOpen(f *testing.F) {
	trace := readZstd(f, filepath.Join("testdata", "waits", "go1.26.trace.zst"))
	f.Add(packGzip(f, trace))
	f.Add(packZstd(f, trace))
	f.Add(packGzip(f, packZstd(f, trace)))
	f.Add(packGzip(f, nil))
	f.Add(packZstd(f, nil))
	f.Add(append(packZstd(f, trace[:100]), packZstd(f, trace[100:])...))
	f.Add(packZstd(f, make([]byte, 20<<20)))
	f.Add(trace[:1000])
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		done := deadline(t, 20*time.Second)
		defer done()
		in, err := Open(context.Background(), "-", OpenOptions{Stdin: onlyReader{bytes.NewReader(data)}})
		if err != nil {
			oneLine(t, err.Error())
			return
		}
		n, err := io.Copy(io.Discard, onlyReader{in})
		if err != nil {
			oneLine(t, err.Error())
			if in.packing == "" || !strings.Contains(err.Error(), in.packing) {
				t.Fatalf("packing %q: %v", in.packing, err)
			}
		}
		if limit := int64(bombSize + bombRatio*(len(data)+1) + 1<<20); n > limit {
			t.Fatalf("%d bytes unpacked from %d", n, len(data))
		}
		if in.PackedBytes() > int64(len(data)) || in.packing == "" && n != int64(len(data)) {
			t.Fatalf("%d bytes read of %d, %d unpacked (packing %q)", in.PackedBytes(), len(data), n, in.packing)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		walkBytes(t, data)
	})
}

// TestFuzzSeeds keeps the seeds small enough to be mutated at speed.
func TestFuzzSeeds(t *testing.T) {
	corpus, err := filepath.Glob(filepath.Join("testdata", "fuzz", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range corpus {
		st, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() > 200_000 {
			t.Errorf("%s has %d bytes", file, st.Size())
		}
	}
}
