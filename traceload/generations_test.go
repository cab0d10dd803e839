package traceload

import (
	"bytes"
	"encoding/binary"
	"io"
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

// TestUvarint compares with the standard library's, at every place of a slice.
func TestUvarint(t *testing.T) {
	var data []byte
	for shift := range 64 {
		for _, v := range []uint64{1<<shift - 1, 1 << shift, 0x5555555555555555 >> shift} {
			data = binary.AppendUvarint(data, v)
		}
	}
	data = append(data, 0x80, 0x80, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80) // longer than need be, too large, cut off
	for at := range len(data) + 1 {
		want, size := binary.Uvarint(data[at:])
		wantNext := at + size
		if size <= 0 {
			want, wantNext = 0, -1
		}
		if got, next := uvarint(data, at); got != want || next != wantNext {
			t.Errorf("at %d: %#x, next at %d, want %#x and %d", at, got, next, want, wantNext)
		}
	}
}
