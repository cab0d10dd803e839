package flight

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// childVariable names what a child process of a test is to do, see children.
const childVariable = "FLIGHT_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		children[name]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// quiet logs to nowhere.
var quiet = slog.New(slog.DiscardHandler)

// start starts a recorder that is closed at the end of the test and must have left
// nothing behind then.
func start(t *testing.T, opt Options) *Recorder {
	t.Helper()
	before := stacks()
	if opt.Logger == nil {
		opt.Logger = quiet
	}
	r, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "all goroutines have ended", func() bool { return len(leaked(before)) == 0 })
		for _, s := range leaked(before) {
			t.Errorf("left behind:\n%s", s)
		}
	})
	return r
}

// stacks returns the goroutines that this package is on the stack of, by number.
func stacks() map[string]string {
	buf := make([]byte, 1<<20)
	all := map[string]string{}
	for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		id, _, _ := strings.Cut(s, "[")
		if strings.Contains(s, "flight.(*") || strings.Contains(s, "flight.open") || strings.Contains(s, "traceload.") {
			all[id] = s
		}
	}
	return all
}

func leaked(before map[string]string) (list []string) {
	for id, s := range stacks() {
		if before[id] == "" && !strings.Contains(s, "testing.tRunner") {
			list = append(list, s)
		}
	}
	return list
}

// eventually waits until something holds; a test that waits for a minute has failed.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

// taken collects what OnSnapshot is told.
type taken struct {
	mu   sync.Mutex
	list []Snapshot
	errs []error
}

func (k *taken) on(_ context.Context, s Snapshot, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.errs = append(k.errs, err)
		return
	}
	k.list = append(k.list, s)
}

func (k *taken) all() ([]Snapshot, []error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]Snapshot(nil), k.list...), append([]error(nil), k.errs...)
}

// wait returns the n-th snapshot.
func (k *taken) wait(t *testing.T, n int) Snapshot {
	t.Helper()
	eventually(t, "a snapshot is taken", func() bool { list, errs := k.all(); return len(list)+len(errs) >= n })
	list, errs := k.all()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return list[n-1]
}

// whole fails unless the file holds a complete trace, and returns what it is.
func whole(t *testing.T, path string) traceload.Info {
	t.Helper()
	in, err := traceload.Open(context.Background(), path, traceload.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return wholeInput(t, in)
}

func wholeBytes(t *testing.T, data []byte) traceload.Info {
	t.Helper()
	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	return wholeInput(t, in)
}

func wholeInput(t *testing.T, in *traceload.Input) traceload.Info {
	t.Helper()
	defer in.Close()
	_, info, err := traceload.Walk(in, func(*traceload.Program, *traceload.Event) {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !info.Complete || info.Events == 0 {
		t.Fatalf("%s: %d events, complete %t: %s", info.Source, info.Events, info.Complete, info.Why)
	}
	return info
}

// logged is a logger's output that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Writer(l), nil)) }
