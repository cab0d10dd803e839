package traceload

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// generations returns the offsets at which the generations of a whole trace
// begin, and its length as the last; nil for the formats without.
func generations(t testing.TB, data []byte) []int {
	t.Helper()
	if headerVersion(data[:headerSize]) < 22 {
		return nil
	}
	var starts []int
	last := uint64(0)
	for at := headerSize; at < len(data); {
		begin := at
		tag := data[at]
		at++
		switch tag {
		case tagEndOfGeneration:
			continue
		case tagExperimentalBatch:
			at++
		case tagEventBatch:
		default:
			t.Fatalf("no batch at byte %d", begin)
		}
		var header [4]uint64
		for i := range header {
			v, n := binary.Uvarint(data[at:])
			if n <= 0 {
				t.Fatalf("no batch header at byte %d", begin)
			}
			header[i] = v
			at += n
		}
		at += int(header[3])
		if header[0] != last {
			last = header[0]
			starts = append(starts, begin)
		}
	}
	return append(starts, len(data))
}

func TestGenerationScanner(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			want := generations(t, rec.data)
			for name, r := range map[string]io.Reader{
				"at once":         bytes.NewReader(rec.data),
				"byte by byte":    iotest.OneByteReader(bytes.NewReader(rec.data)),
				"half":            iotest.HalfReader(bytes.NewReader(rec.data)),
				"data with error": iotest.DataErrReader(bytes.NewReader(rec.data)),
			} {
				s := &generationScanner{r: r, limit: maxGeneration}
				out, err := io.ReadAll(s)
				if err != nil || !bytes.Equal(out, rec.data) {
					t.Errorf("%s: %d bytes passed on, %v; want %d unchanged", name, len(out), err, len(rec.data))
				}
				if s.version != headerVersion(rec.data[:headerSize]) || s.version == 0 || s.offset != int64(len(rec.data)) {
					t.Errorf("%s: format %d, %d bytes", name, s.version, s.offset)
				}
				for i, start := range want {
					if s.start(i) != int64(start) {
						t.Errorf("%s: generation %d begins at %d, want %d", name, i, s.start(i), start)
					}
				}
				if len(s.starts) != max(0, len(want)-1) {
					t.Errorf("%s: %d generations, want %d", name, len(s.starts), len(want)-1)
				}
			}
		})
	}
}

// TestGenerationLimit checks that a generation which is too long ends the
// reading, after those before it were told.
func TestGenerationLimit(t *testing.T) {
	const limit = 8000
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			data, long := rec.data, 0 // the first generation that is too long
			if starts := generations(t, data); starts != nil {
				data = slices.Delete(bytes.Clone(data), starts[0], starts[1])
				for starts = generations(t, data); starts[long+1]-starts[long] <= limit; {
					long++
				}
			}
			d := newTestDecoder(iotest.OneByteReader(bytes.NewReader(data)), limit)
			err := d.open()
			if err == nil {
				go d.run()
				for b := range d.full {
					d.free <- b
				}
				err = d.err
			}
			if err == nil || !strings.Contains(err.Error(), "longer than 8000 bytes") || d.wholeGenerations() != long {
				t.Errorf("%d generations before %v; want %d", d.wholeGenerations(), err, long)
			}
			d.scanner.drain()
			if d.scanner.offset != int64(len(data)) {
				t.Errorf("%d bytes counted, want %d", d.scanner.offset, len(data))
			}
		})
	}
}

func TestHeaderVersion(t *testing.T) {
	for header, want := range map[string]int{
		"go 1.22 trace\x00\x00\x00": 22,
		"go 1.5 trace\x00\x00\x00":  5,
		"go 1.199 trace\x00\x00":    199,
		"go 1.22 trace\x00\x00x":    0,
		"go 1.22 TRACE\x00\x00\x00": 0,
		"go 1.x2 trace\x00\x00\x00": 0,
		"go 1.-2 trace\x00\x00\x00": 0,
		"go 1. trace\x00\x00\x00":   0,
		"go 2.22 trace\x00\x00\x00": 0,
		"":                          0,
	} {
		if got := headerVersion([]byte(header)); got != want {
			t.Errorf("headerVersion(%q) = %d, want %d", header, got, want)
		}
	}
}

// TestShort compares events read from one word with the same read number by number: of
// every type, with numbers of every size, and cut off everywhere.
func TestShort(t *testing.T) {
	g := &generation{freq: 64}
	numbers := []uint64{0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1fffff, 0x200000, 0xfffffff, 0x10000000, 1 << 40, math.MaxUint64}
	odd := [][]byte{{0x80, 0}, {0x80, 0x80, 0x80, 0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} // longer than need be, too large
	rng := rand.New(rand.NewPCG(1, 2))
	for typ := range 256 {
		for range 400 {
			data := []byte{byte(typ)}
			for range arguments[typ] {
				if rng.IntN(20) == 0 {
					data = append(data, odd[rng.IntN(len(odd))]...)
				} else {
					data = binary.AppendUvarint(data, numbers[rng.IntN(1+rng.IntN(len(numbers)))])
				}
			}
			data = append(data, make([]byte, rng.IntN(12))...)
			rng.Shuffle(min(1, rng.IntN(100))*len(data), func(i, j int) { data[i], data[j] = data[j], data[i] })
			for end := 1; end <= len(data); end++ {
				short := cursor{data: data[:end], time: 5}
				long := short
				more, err := short.next(g)
				wantMore, wantErr := long.long(g)
				if more != wantMore || (err == nil) != (wantErr == nil) {
					t.Fatalf("%x: %v, %v, want %v, %v", data[:end], more, err, wantMore, wantErr)
				}
				if n := arguments[short.typ]; err == nil && (short.at != long.at || short.time != long.time || short.typ != long.typ ||
					!slices.Equal(short.numbers[:n], long.numbers[:n])) {
					t.Fatalf("%x: %+v, want %+v", data[:end], short, long)
				}
			}
		}
	}
}

// TestEndOfTime: time does not begin anew after the last there is.
func TestEndOfTime(t *testing.T) {
	o := &order{last: math.MaxInt64 - 1}
	tr := newTranslator()
	b := &records{list: make([]record, 3)}
	for i := range b.list {
		b.list[i].time = o.tick(7)
	}
	tr.batch(b)
	tr.batch(&records{list: b.list[:2]})
	for i, r := range b.list {
		if r.time != math.MaxInt64 {
			t.Errorf("record %d is at %d", i, r.time)
		}
	}
}
