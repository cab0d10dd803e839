package traceload

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// openFile opens data as a file of its own.
func openFile(t testing.TB, data []byte) *Input {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace.out")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(context.Background(), file, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// walkInput walks over an input, and returns what it was told but for where it came from.
func walkInput(t testing.TB, in *Input, limits Limits) walked {
	w := walkIn(in, limits)
	w.info.Source = ""
	if w.err != nil {
		w.info.Why = strings.ReplaceAll(w.err.Error(), in.Source+": ", "")
	}
	return w
}

// TestMapped: a file in memory is read as one that comes bit by bit, also if it has become
// shorter or longer since it was opened, and it is not kept in memory.
func TestMapped(t *testing.T) {
	for _, rec := range recordings(t) {
		if !ownFormat(headerVersion(rec.data[:headerSize])) {
			continue // golang.org/x/exp/trace reads those
		}
		t.Run(rec.name, func(t *testing.T) {
			half := rec.data[:len(rec.data)/2]
			for name, test := range map[string]struct {
				change func(file string) error
				data   []byte // that can be read
			}{
				"as it was": {func(string) error { return nil }, rec.data},
				"shorter":   {func(file string) error { return os.Truncate(file, int64(len(half))) }, half},
				"longer":    {func(file string) error { return os.Truncate(file, 2*int64(len(rec.data))) }, rec.data},
			} {
				if name == "longer" && runtime.GOOS != "linux" {
					continue // not mapped there, so it is read on
				}
				in := openFile(t, rec.data)
				if err := test.change(in.Source); err != nil {
					t.Fatal(err)
				}
				want := walkInput(t, input(t, test.data), Limits{})
				got := walkInput(t, in, Limits{piece: 1 << 17})
				compareWalks(t, want, got)
				if read := in.PackedBytes(); want.info.Complete && read != int64(len(test.data)) {
					t.Errorf("%s: %d bytes read of %d", name, read, len(test.data))
				}
				if maps, err := os.ReadFile("/proc/self/maps"); err == nil {
					if !strings.Contains(string(maps), in.Source) {
						t.Errorf("%s: not in memory", name)
					}
					if err := in.Close(); err != nil {
						t.Error(err)
					}
					if maps, _ = os.ReadFile("/proc/self/maps"); strings.Contains(string(maps), in.Source) {
						t.Errorf("%s: still in memory when it is closed", name)
					}
				}
			}
		})
	}
}

// TestShortened: a file that becomes shorter while it is decoded is damage, and no crash.
func TestShortened(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("files are not mapped here")
	}
	page := os.Getpagesize()
	data := append(bytes.Clone(today(t).data), make([]byte, 4*page)...)
	in := openFile(t, data)
	m := in.mapped(headerSize)
	if m == nil {
		t.Fatal("not mapped")
	}
	if err := populate(m.data, 0, len(m.data)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(in.Source, int64(page)); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	p := &pipeline{batches: make(chan *records, 1), turns: make(chan struct{}, 1), stop: make(chan struct{})}
	d := &decoding{generation: &generation{version: 26, pieces: [][]byte{m.data[page:]}, mapped: true}, out: make(chan *records, 100)}
	if p.decode(d, new(roster)); d.err != errShortened {
		t.Errorf("decoding: %v", d.err)
	}
	split := func(m *mapping) (int64, error) {
		p := &pipeline{scanner: &generationScanner{r: m.in, limit: maxGeneration}, mapping: m, piece: len(data), memory: newBudget(1 << 30), turns: make(chan struct{}, 1)}
		p.turns <- struct{}{}
		p.scanner.readHeader()
		err := p.split()
		return p.scanner.offset, err
	}
	if n, err := split(m); err == nil || err == errShortened || n != int64(page) { // it ends there
		t.Errorf("splitting: %v after %d bytes", err, n)
	}
	// As if it became shorter right after that part was read: the file is whole, what is in memory is not.
	if n, err := split(&mapping{openFile(t, data), m.data}); err != errShortened || n < headerSize || n > int64(len(data)) {
		t.Errorf("splitting while it becomes shorter: %v after %d bytes", err, n)
	}
}
