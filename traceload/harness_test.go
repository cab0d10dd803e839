package traceload

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// traced runs and traces f with the present toolchain.
func traced(t testing.TB, f func()) []byte {
	t.Helper()
	if trace.IsEnabled() {
		t.Skip("this test records a trace of its own: run it without -trace")
	}
	var buf bytes.Buffer
	if err := trace.Start(&buf); err != nil {
		t.Fatal(err)
	}
	defer trace.Stop()
	f()
	trace.Stop()
	return buf.Bytes()
}

// recorded is a trace in testdata.
type recorded struct {
	name    string // "go1.22"
	version int    // of the toolchain, 22
	format  string // as Info gives it
	data    []byte // unpacked
}

// recordings returns the traces of testdata/waits, oldest toolchain first.
func recordings(t testing.TB) []recorded {
	t.Helper()
	// What each toolchain writes: a format's number is that of the release that began it.
	formats := map[int]string{18: "go1.11", 20: "go1.19", 21: "go1.21", 22: "go1.22", 24: "go1.23", 25: "go1.25", 26: "go1.26"}
	var list []recorded
	for version, format := range formats {
		name := fmt.Sprintf("go1.%d", version)
		list = append(list, recorded{name, version, format, readZstd(t, filepath.Join("testdata", "waits", name+".trace.zst"))})
	}
	slices.SortFunc(list, func(a, b recorded) int { return a.version - b.version })
	return list
}

func readZstd(t testing.TB, file string) []byte {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := z.DecodeAll(packed, nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return data
}

// input opens data as standard input would be.
func input(t testing.TB, data []byte) *Input {
	t.Helper()
	in, err := Open(context.Background(), "-", OpenOptions{Stdin: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// sight is a copy of an event with what it pointed to.
type sight struct {
	Event
	g, by Goroutine // zero where the event has none
	site  string    // "main.mutex.func1:167", the frame to show of the event's stack
	at    string    // the same of the stack of whoever did it
	entry string    // function that the event's goroutine was started with
}

// sights walks over a trace that must be readable and returns all that it saw.
func sights(t testing.TB, data []byte) ([]sight, *Program, Info) {
	t.Helper()
	var list []sight
	p, info, err := Walk(input(t, data), func(p *Program, ev *Event) { list = append(list, look(p, ev)) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list, p, info
}

// look takes down an event.
func look(p *Program, ev *Event) sight {
	s := sight{Event: *ev, site: siteOf(p, ev.Stack), at: siteOf(p, ev.ByStack)}
	if ev.G != nil {
		s.g = *ev.G
		if f := p.Entry(ev.G); f != nil {
			s.entry = f.Func
		}
	}
	if ev.By != nil {
		s.by = *ev.By
	}
	s.G, s.By = nil, nil // they are live, and change
	s.g.origin, s.by.origin = origin{}, origin{}
	return s
}

func siteOf(p *Program, id StackID) string {
	f := p.Site(id)
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", f.Func, f.Line)
}

// line returns the line number in "main.mutex.func1:167", "" if that is not in package main.
func line(site string) string {
	if !strings.HasPrefix(site, "main.") {
		return ""
	}
	return site[strings.LastIndexByte(site, ':')+1:]
}

// marks finds the lines of a source file that end in "// KIND NAME", such as
// "// block mutex", and returns their numbers by KIND NAME.
func marks(t testing.TB, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		code, comment, ok := strings.Cut(lines.Text(), " // ")
		if ok && strings.TrimSpace(code) != "" {
			found[comment] = fmt.Sprint(n)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// discard observes nothing.
func discard(*Program, *Event) {}

// onlyReader hides whatever else a reader can do.
type onlyReader struct{ io.Reader }

// newTestDecoder returns a decoder as Walk makes it for formats that are not ours.
func newTestDecoder(r io.Reader, limit int64) *decoder {
	s := &generationScanner{r: r, limit: limit}
	s.readHeader()
	return newDecoder(s)
}
