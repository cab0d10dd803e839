package flight

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
)

// ask sends a request to the handler as it is mounted.
func ask(r *Recorder, method, query string, header ...string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle("/debug/tracedoc", r.Handler())
	req := httptest.NewRequest(method, "/debug/tracedoc"+query, nil)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	return w
}

// isText, isJSON and others tell whether a body is what it claims to be.
func isText(b string) bool { return strings.Contains(b, "What this trace cannot show") }
func isJSON(b string) bool {
	var rep detectors.Report
	return json.Unmarshal([]byte(b), &rep) == nil && len(rep.Traces) == 1 && strings.HasPrefix(rep.Traces[0].Source, "shop-") && rep.Traces[0].Complete
}
func isSARIF(b string) bool {
	var log struct{ Version string }
	return json.Unmarshal([]byte(b), &log) == nil && log.Version == "2.1.0"
}
func isHTML(b string) bool { return strings.HasPrefix(strings.ToLower(b), "<!doctype html>") }
func isError(b string) bool {
	return strings.HasPrefix(b, "flight: ") && strings.Count(b, "\n") == 1 && strings.HasSuffix(b, "\n")
}
func isTrace(b string) bool { return strings.HasPrefix(b, "go 1.") }
func isEmpty(b string) bool { return b == "" }

func TestHandler(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir(), Name: "shop", Interval: time.Nanosecond, Share: 1})
	snap, err := r.Snapshot(t.Context(), `<script>alert("a & b")</script>`)
	if err != nil {
		t.Fatal(err)
	}
	browser := "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	this := "?snapshot=" + url.QueryEscape(snap.Name)
	tests := []struct {
		method, query, header string
		status                int
		kind                  string
		body                  func(string) bool
	}{
		{"GET", "", "", 200, typeText, isText},
		{"GET", "", "Accept: */*", 200, typeText, isText},
		{"GET", "", "Accept: application/json", 200, typeJSON, isJSON},
		{"GET", "", browser, 200, typeHTML, isHTML},
		{"GET", "", "Accept: image/png", 406, typeText, isError},
		{"GET", "?format=json", "Accept: text/plain", 200, typeJSON, isJSON},
		{"GET", "?format=sarif", "", 200, "application/sarif+json", isSARIF},
		{"GET", "?format=html", "", 200, typeHTML, func(b string) bool { return isHTML(b) && strings.Contains(b, "Content-Security-Policy") }},
		{"GET", "?format=pprof", "", 200, typeBinary, func(b string) bool { return strings.HasPrefix(b, "\x1f\x8b") }},
		{"GET", "?format=yaml", "", 400, typeText, isError},
		{"GET", "?format=trace", "", 200, typeBinary, isTrace},
		{"GET", this, "", 200, typeText, isText},
		{"GET", this + "&format=json", "", 200, typeJSON, isJSON},
		{"GET", this + "&format=trace", "", 200, typeBinary, isTrace},
		{"GET", "?snapshot=../../../../etc/passwd", "", 404, typeText, isError},
		{"GET", "?snapshot=shop-20201126T055012.123Z-call", "", 404, typeText, isError},
		{"GET", "?snapshot=", "", 404, typeText, isError},
		{"GET", "?snapshots", "", 200, typeText, func(b string) bool {
			return strings.HasPrefix(b, snap.Name) && strings.HasSuffix(b, "</script>\n")
		}},
		{"GET", "?snapshots", "Accept: application/json", 200, typeJSON, func(b string) bool {
			var list []Snapshot
			return json.Unmarshal([]byte(b), &list) == nil && len(list) == 1 && list[0].Reason == snap.Reason
		}},
		{"GET", "?snapshots", browser, 200, typeHTML, func(b string) bool {
			return isHTML(b) && strings.Contains(b, "href=\"/debug/tracedoc"+this+"\"") && !strings.Contains(b, "<script>")
		}},
		{"HEAD", "", "", 200, typeText, isEmpty},
		{"HEAD", "?format=trace", "", 200, typeBinary, isEmpty},
		{"POST", "?reason=why%0Anot", "", 201, typeJSON, func(b string) bool {
			var s Snapshot
			return json.Unmarshal([]byte(b), &s) == nil && s.Cause == CauseHTTP && strings.HasPrefix(s.Reason, "why") && !strings.Contains(s.Reason, "\n")
		}},
		{"DELETE", "", "", 405, typeText, isError},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.query+" "+tt.header, func(t *testing.T) {
			w := ask(r, tt.method, tt.query, tt.header)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.kind || !tt.body(w.Body.String()) {
				t.Errorf("status %d, want %d; %s, want %s:\n%.2000s", w.Code, tt.status, w.Header().Get("Content-Type"), tt.kind, w.Body)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %v", w.Header())
			}
		})
	}
	if link := ask(r, "HEAD", this).Header().Get("Link"); !strings.HasPrefix(link, "</debug/tracedoc"+this+"&format=trace>") {
		t.Errorf("a report does not lead to its trace: %q", link)
	}
	w := ask(r, "GET", "?format=trace")
	wholeBytes(t, w.Body.Bytes())
	if d := w.Header().Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="shop-`) {
		t.Errorf("the trace is called %q", d)
	}
	w = ask(r, "POST", "")
	if at := w.Header().Get("Location"); ask(r, "GET", strings.TrimPrefix(at, "/debug/tracedoc")).Code != 200 {
		t.Errorf("there is no report at %q", at)
	}
}

func TestHandlerWithoutFolder(t *testing.T) {
	r := start(t, Options{})
	for _, q := range [][2]string{{"POST", ""}, {"GET", "?snapshots"}, {"GET", "?snapshot=x"}} {
		if w := ask(r, q[0], q[1]); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "set Options.Dir") {
			t.Errorf("%v: status %d: %s", q, w.Code, w.Body)
		}
	}
	if w := ask(r, "GET", ""); w.Code != 200 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestPostIsLimited(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir(), Interval: time.Hour})
	if w := ask(r, "POST", ""); w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	w := ask(r, "POST", "")
	if n, err := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != http.StatusTooManyRequests || err != nil || n < 3500 || n > 3600 || !isError(w.Body.String()) {
		t.Errorf("status %d, after %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

// Many ask at once, while the service works: one gets a report, the others are told
// to come back, and the service is served all the while.
func TestHandlerUnderLoad(t *testing.T) {
	r := start(t, Options{Window: time.Second, SlowRequest: time.Hour, Share: 0.5})
	mux := http.NewServeMux()
	mux.Handle("/debug/tracedoc", r.Handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	s := httptest.NewServer(r.Middleware(mux))
	defer s.Close()
	get := func(path string) (status int, retry, body string) {
		res, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Error(err)
			return 0, "", ""
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res.StatusCode, res.Header.Get("Retry-After"), string(data)
	}
	var stop atomic.Bool
	var served, reports, turnedAway atomic.Int64
	var load, asking sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				if status, _, body := get("/"); status != 200 || body != "hello" {
					t.Errorf("the service: status %d: %s", status, body)
					return
				}
				served.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	for range 8 {
		asking.Go(func() {
			for range 4 {
				switch status, retry, body := get("/debug/tracedoc"); {
				case status == 200 && isText(body):
					reports.Add(1)
				case status == 503 && retry == "2" && isError(body):
					turnedAway.Add(1)
				default:
					t.Errorf("status %d, after %q: %s", status, retry, body)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	asking.Wait()
	before := served.Load()
	eventually(t, "the service answers on", func() bool { return served.Load() > before })
	stop.Store(true)
	load.Wait()
	t.Logf("%d reports, %d turned away, %d requests served", reports.Load(), turnedAway.Load(), served.Load())
	if reports.Load() == 0 || turnedAway.Load() == 0 {
		t.Error("nobody got a report, or nobody was turned away")
	}
	if st := r.Stats(); st.Reports != reports.Load() || st.Busy != turnedAway.Load() {
		t.Errorf("%+v", st)
	}
}

func TestClientGoes(t *testing.T) {
	r := start(t, Options{Share: 0.0001}) // hardly ever gets to work
	for range 200 {
		done := make(chan int)
		go func() { done <- 1 }()
		<-done
	}
	ctx, cancel := context.WithCancel(t.Context())
	src, err := r.live(ctx)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	text, _ := render.ByName("text")
	began := time.Now()
	p := &pacer{ctx: ctx, share: r.opt.Share, since: began.Add(-time.Second)} // as if it had worked long
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = r.judge(p, src, text)
		t.Error("went on without a client")
	}()
	<-over
	if _, err := r.report(ctx, src, text); err == nil || !strings.Contains(err.Error(), "was stopped") {
		t.Errorf("a report for nobody: %v", err)
	}
}

// What panics in an analysis ends there.
func TestAnalysisPanics(t *testing.T) {
	r := start(t, Options{})
	src, err := r.live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.report(t.Context(), src, render.Format{Write: func(io.Writer, *detectors.Report, render.Options) error { panic("oh no") }})
	if err == nil || !strings.Contains(err.Error(), "internal error: oh no") {
		t.Errorf("a panic became %v", err)
	}
	_, err = r.report(t.Context(), src, render.Format{Write: func(io.Writer, *detectors.Report, render.Options) error { return errors.New("cannot") }})
	if err == nil || err.Error() != "flight: cannot write the report: cannot" {
		t.Error(err)
	}
}

func TestStoredGarbage(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Options{Dir: dir, Name: "shop"})
	s := saved(t, r.store, CauseCall, "this is no trace")
	w := ask(r, "GET", "?snapshot="+s.Name)
	if w.Code != http.StatusInternalServerError || !isError(w.Body.String()) || !strings.Contains(w.Body.String(), "not a Go execution trace") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}
