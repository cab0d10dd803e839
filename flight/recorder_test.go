package flight

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

func TestTriggers(t *testing.T) {
	slow := func(d time.Duration) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) { time.Sleep(d) })
		return mux
	}
	get := func(r *Recorder, next http.Handler, path string) {
		r.Middleware(next).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	tests := []struct {
		name   string
		opt    Options
		do     func(t *testing.T, r *Recorder)
		cause  Cause
		reason string // how it begins
	}{
		{"slow request", Options{SlowRequest: 10 * time.Millisecond}, func(_ *testing.T, r *Recorder) {
			get(r, slow(20*time.Millisecond), "/orders/7?card=secret")
		}, CauseSlowRequest, "GET /orders/{id} took "},
		{"request that does not end", Options{SlowRequest: 10 * time.Millisecond, Window: 100 * time.Millisecond}, func(t *testing.T, r *Recorder) {
			release := make(chan struct{})
			over := make(chan struct{})
			go func() {
				get(r, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), "/stuck?card=secret")
				close(over)
			}()
			eventually(t, "it is noticed", func() bool { return r.Stats().Snapshots > 0 })
			close(release)
			<-over
		}, CauseSlowRequest, "GET /stuck still runs after "},
		{"request that panics", Options{SlowRequest: time.Nanosecond}, func(t *testing.T, r *Recorder) {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler {
					t.Errorf("the panic of the handler became %v", v)
				}
			}()
			get(r, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "/panics")
		}, CauseSlowRequest, "GET /panics took "},
		{"many goroutines", Options{Goroutines: 300}, func(t *testing.T, r *Recorder) {
			many(t, r, 300)
		}, CauseGoroutines, ""},
		{"growth", Options{GoroutineGrowth: 300}, func(t *testing.T, r *Recorder) {
			time.Sleep(1100 * time.Millisecond) // counted once before
			many(t, r, 400)
		}, CauseGrowth, ""},
		{"deadlines", Options{Deadlines: 3}, func(_ *testing.T, r *Recorder) {
			for range 3 {
				r.Deadline(errors.New("no"))
				r.Deadline(nil)
				r.Deadline(context.DeadlineExceeded)
			}
		}, CauseDeadlines, "3 deadlines expired within a second"},
		{"deadlines of clients", Options{Deadlines: 2}, func(t *testing.T, r *Recorder) {
			release := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
			defer s.Close()
			defer close(release)
			client := &http.Client{Transport: r.Transport(&http.Transport{DisableKeepAlives: true}), Timeout: 20 * time.Millisecond}
			for range 2 {
				if res, err := client.Get(s.URL); err == nil {
					_ = res.Body.Close()
					t.Error("an answer came in time")
				}
			}
		}, CauseDeadlines, "2 deadlines"},
		{"deadlines of requests", Options{Deadlines: 2}, func(_ *testing.T, r *Recorder) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
			defer cancel()
			<-ctx.Done()
			for range 2 {
				r.Middleware(slow(0)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/orders/7", nil))
			}
		}, CauseDeadlines, "2 deadlines"},
		{"call", Options{}, func(_ *testing.T, r *Recorder) { r.Trigger("a\x1bhunch") }, CauseCall, `a\x1bhunch`},
		{"HTTP", Options{}, func(t *testing.T, r *Recorder) {
			w := httptest.NewRecorder()
			r.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/debug/tracedoc?reason=curious", nil))
			if w.Code != http.StatusCreated {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		}, CauseHTTP, "curious"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var k taken
			tt.opt.Dir, tt.opt.OnSnapshot = t.TempDir(), k.on
			r := start(t, tt.opt)
			tt.do(t, r)
			s := k.wait(t, 1)
			if s.Cause != tt.cause || !strings.HasPrefix(s.Reason, tt.reason) || strings.Contains(s.Reason, "secret") {
				t.Errorf("a snapshot for %s: %q; want %s: %q", s.Cause, s.Reason, tt.cause, tt.reason)
			}
			if s.Goroutines == 0 || s.PID != os.Getpid() || time.Since(s.Time) > time.Minute {
				t.Errorf("%+v", s)
			}
			if info := whole(t, s.Path); info.Bytes != s.Bytes {
				t.Errorf("%d bytes, the file has %d", s.Bytes, info.Bytes)
			}
			if !says(t, s.Path, s.Reason) {
				t.Error("the trace does not show when it was triggered")
			}
		})
	}
}

// many starts n goroutines until there is a snapshot.
func many(t *testing.T, r *Recorder, n int) {
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { <-release })
	}
	eventually(t, "it is noticed", func() bool { return r.Stats().Snapshots > 0 })
	close(release)
	wg.Wait()
}

// says tells whether a trace holds this text as a log event of ours.
func says(t *testing.T, path, text string) (found bool) {
	t.Helper()
	in, err := traceload.Open(context.Background(), path, traceload.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, _, err := traceload.Walk(in, func(p *traceload.Program, ev *traceload.Event) {
		if ev.Kind == traceload.KindLog && p.String(ev.Text) == "tracedoc/flight" && p.String(ev.Text2) == text {
			found = true
		}
	}, nil); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRequestsThatAreNotSlow(t *testing.T) {
	var k taken
	r := start(t, Options{Dir: t.TempDir(), SlowRequest: time.Nanosecond, OnSnapshot: k.on,
		SkipRequest: func(r *http.Request) bool { return r.URL.Path == "/export" }})
	h := r.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for path, header := range map[string]string{"/debug/pprof/profile": "", "/socket": "Upgrade: websocket", "/events": "Accept: text/event-stream", "/export": ""} {
		req := httptest.NewRequest("GET", path, nil)
		if name, value, ok := strings.Cut(header, ": "); ok {
			req.Header.Set(name, value)
		}
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	if n := r.Stats().Triggers; n != 0 {
		t.Errorf("%d triggers for requests that are meant to take long", n)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if s := k.wait(t, 1); !strings.HasPrefix(s.Reason, "GET / took") {
		t.Error(s.Reason)
	}
}

// 200 triggers in a row write no more than the limit allows.
func TestTriggersAreLimited(t *testing.T) {
	dir := t.TempDir()
	var k taken
	r := start(t, Options{Dir: dir, Interval: time.Hour, Keep: 2, SlowRequest: time.Nanosecond, OnSnapshot: k.on})
	h := r.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 20 {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
		})
	}
	wg.Wait()
	k.wait(t, 1)
	if _, err := r.Snapshot(t.Context(), "another cause"); err != nil {
		t.Error(err)
	}
	var limited *LimitedError
	if _, err := r.Snapshot(t.Context(), "the same cause"); !errors.As(err, &limited) || limited.Wait <= 0 || limited.Wait > time.Hour {
		t.Errorf("a second snapshot for the same cause: %v", err)
	}
	if s := r.Stats(); s.Triggers != 202 || s.Limited != 200 || s.Snapshots != 2 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	if all := names(t, dir); len(all) != 4 {
		t.Errorf("in the folder: %v", all)
	}
}

func TestOldSnapshotsGo(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Options{Dir: dir, Interval: time.Nanosecond, Keep: 2})
	for range 4 {
		if _, err := r.Snapshot(t.Context(), "again"); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Stats(); s.Snapshots != 4 || s.Removed != 2 {
		t.Errorf("%+v", s)
	}
	if all := names(t, dir); len(all) != 4 {
		t.Errorf("in the folder: %v", all)
	}
}

func TestNoRecorder(t *testing.T) {
	var r *Recorder
	r.Trigger("nothing")
	r.Deadline(context.DeadlineExceeded)
	if _, err := r.Snapshot(t.Context(), "nothing"); !errors.Is(err, errNoRecorder) {
		t.Error(err)
	}
	next := http.NotFoundHandler()
	w := httptest.NewRecorder()
	r.Middleware(next).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
	w = httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != "flight: nothing is being recorded\n" {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if r.Transport(nil) != http.DefaultTransport || r.Stats() != (Stats{}) || r.Close() != nil {
		t.Error("a nil recorder does something")
	}
}

func TestWrongOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, opt := range []Options{{Window: -1}, {Share: 1.5}, {Deadlines: -1}, {Dir: filepath.Join(file, "x")}} {
		r, err := Start(opt)
		if err == nil || r != nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", opt, err)
			_ = r.Close()
		}
	}
	start(t, Options{}) // nothing is left of those
}

func TestOneAtATime(t *testing.T) {
	start(t, Options{})
	r, err := Start(Options{})
	if err == nil || r != nil || !strings.Contains(err.Error(), "a program can have one flight recorder at a time") {
		t.Errorf("a second recorder: %v", err)
	}
}

func TestClose(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir(), Interval: time.Nanosecond})
	for range 3 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Snapshot(t.Context(), "too late"); !errors.Is(err, errNoRecorder) {
		t.Errorf("after Close: %v", err)
	}
	r.Trigger("too late")
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("after Close: status %d", w.Code)
	}
	start(t, Options{}) // the runtime's recorder is free again
}

// Close while everybody calls everything.
func TestCloseUnderLoad(t *testing.T) {
	for range 5 {
		r := start(t, Options{Dir: t.TempDir(), Interval: time.Nanosecond, SlowRequest: time.Nanosecond, Deadlines: 1, Share: 1})
		h := r.Middleware(r.Handler())
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for !stop.Load() {
					r.Deadline(context.DeadlineExceeded)
					r.Trigger("load")
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
					_, _ = r.Snapshot(t.Context(), "load")
					_ = r.Stats()
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		stop.Store(true)
		wg.Wait()
	}
}

func TestCallbackPanics(t *testing.T) {
	var log logged
	calls := 0
	r := start(t, Options{Dir: t.TempDir(), Interval: time.Nanosecond, Logger: log.logger(),
		OnSnapshot: func(context.Context, Snapshot, error) { calls++; panic("oh no") }})
	for range 2 {
		if _, err := r.Snapshot(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if calls != 2 || !strings.Contains(log.String(), `msg="flight: OnSnapshot panicked" panic="oh no"`) {
		t.Errorf("%d calls; log:\n%s", calls, log.String())
	}
}

func TestFolderGoesBad(t *testing.T) {
	dir := t.TempDir()
	var k taken
	var log logged
	r := start(t, Options{Dir: dir, Interval: time.Nanosecond, OnSnapshot: k.on, Logger: log.logger()})
	if err := os.RemoveAll(filepath.Join(dir, hidden)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, hidden), nil, 0o644); err != nil { // whoever runs the test may be root, whom permissions do not stop
		t.Fatal(err)
	}
	_, err := r.Snapshot(t.Context(), "x")
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir+": cannot keep the snapshot for call: not a directory") {
		t.Errorf("a bad folder: %v", err)
	}
	eventually(t, "it is told", func() bool { _, errs := k.all(); return len(errs) == 1 })
	if !strings.Contains(log.String(), "level=WARN") || r.Stats().Failed != 1 {
		t.Errorf("%+v; log:\n%s", r.Stats(), log.String())
	}
	if err := os.Remove(filepath.Join(dir, hidden)); err != nil { // mended, more or less: the hidden folder is made again
		t.Fatal(err)
	}
	if _, err := r.Snapshot(t.Context(), "x"); err != nil {
		t.Errorf("after the folder was mended: %v", err)
	}
}

// A trace that somebody else takes meanwhile, as net/http/pprof does.
func TestBesideOtherTraces(t *testing.T) {
	for _, first := range []string{"flight", "other"} {
		t.Run(first+" first", func(t *testing.T) {
			var other bytes.Buffer
			begin := func() {
				if err := trace.Start(&other); err != nil {
					t.Skipf("this test is being traced itself: %v", err)
				}
			}
			if first == "other" {
				begin()
			}
			r := start(t, Options{Dir: t.TempDir(), Interval: time.Nanosecond})
			if _, err := r.Snapshot(t.Context(), "at once"); err != nil {
				t.Error(err)
			}
			if first == "flight" {
				begin()
			}
			s, err := r.Snapshot(t.Context(), "during the other")
			if err != nil {
				t.Fatal(err)
			}
			whole(t, s.Path)
			if first == "other" {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			trace.Stop()
			wholeBytes(t, other.Bytes())
			if first == "flight" {
				s, err := r.Snapshot(t.Context(), "after the other")
				if err != nil {
					t.Fatal(err)
				}
				whole(t, s.Path)
			}
		})
	}
}

// stuckWriter is a client that at some time takes nothing more until it is released.
type stuckWriter struct {
	stuck   atomic.Bool
	release chan struct{}
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	if w.stuck.Load() {
		<-w.release
	}
	return len(p), nil
}

// Who reads another trace too slowly keeps the runtime from handing out ours.
func TestOtherTraceIsStuck(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir(), Interval: time.Nanosecond})
	w := &stuckWriter{release: make(chan struct{})}
	if err := trace.Start(w); err != nil {
		t.Skipf("this test is being traced itself: %v", err)
	}
	w.stuck.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var b bytes.Buffer
	err := r.window.writeTo(ctx, &b)
	n := b.Len()
	close(w.release)
	trace.Stop()
	if !errors.Is(err, errStuck) {
		t.Errorf("while another trace is stuck: %v", err)
	}
	eventually(t, "there are snapshots again", func() bool { _, err := r.Snapshot(t.Context(), "go on"); return err == nil })
	if b.Len() != n {
		t.Error("something was written after writing was given up")
	}
}

// The window stays small also where a second of trace is far larger than it.
func TestWindowIsBounded(t *testing.T) {
	const bytes = 4 << 20
	r := start(t, Options{WindowBytes: bytes, Window: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range 2 {
		ping, pong := make(chan int), make(chan int)
		wg.Go(func() {
			defer close(ping)
			for ctx.Err() == nil {
				ping <- 1
				<-pong
			}
		})
		wg.Go(func() {
			for range ping {
				pong <- 1
			}
		})
	}
	var sizes []int64
	eventually(t, "the window is small", func() bool {
		time.Sleep(150 * time.Millisecond)
		if held := r.Stats().HeldBytes; held > 0 {
			sizes = append(sizes, held)
		}
		n := len(sizes)
		return n > 6 && slices.Max(sizes[n-4:]) < 2*bytes
	})
	t.Logf("the window of %d bytes held %v", bytes, sizes)
	if slices.Max(sizes) < 2*bytes {
		t.Skip("this machine is too slow to fill it")
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		length       time.Duration
		bytes, limit int64
		want         time.Duration
	}{
		{time.Second, 100, 100, time.Second},
		{time.Second, 1000, 100, 100 * time.Millisecond},
		{time.Second, 10, 100, time.Second},
		{100 * time.Millisecond, 50, 100, 200 * time.Millisecond},
		{100 * time.Millisecond, 1 << 40, 100, shortest},
		{time.Second, 0, 100, time.Second},
	} {
		if got := fit(tt.length, tt.bytes, tt.limit); got != tt.want {
			t.Errorf("fit(%v, %d, %d) = %v, want %v", tt.length, tt.bytes, tt.limit, got, tt.want)
		}
	}
}
