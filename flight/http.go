package flight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Middleware watches the requests that next answers: for slow ones, and for those
// whose deadline expired (set by a handler further out). It passes on
// everything as it is, panics too.
func (r *Recorder) Middleware(next http.Handler) http.Handler {
	if r == nil || r.opt.SlowRequest == 0 && r.expired == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.skips(req) {
			next.ServeHTTP(w, req)
			return
		}
		watch := r.watchRequest(req)
		defer watch.end()
		next.ServeHTTP(w, req)
	})
}

// skips tells whether a request is meant to take long.
func (r *Recorder) skips(req *http.Request) bool {
	return strings.HasPrefix(req.URL.Path, "/debug/") || req.Header.Get("Upgrade") != "" ||
		strings.Contains(req.Header.Get("Accept"), "text/event-stream") ||
		r.opt.SkipRequest != nil && r.opt.SkipRequest(req)
}

// requestWatch is the watch over one request.
type requestWatch struct {
	r      *Recorder
	req    *http.Request
	method string
	path   string
	begin  time.Time
	losing *time.Timer // runs out when the window is about to lose its beginning
}

func (r *Recorder) watchRequest(req *http.Request) *requestWatch {
	w := &requestWatch{r: r, req: req, method: req.Method, path: req.URL.Path, begin: time.Now()}
	if slow := r.opt.SlowRequest; slow > 0 {
		w.losing = time.AfterFunc(max(slow, r.opt.Window*3/4), func() { // req is the handler's meanwhile
			r.trigger(CauseSlowRequest, fmt.Sprintf("%s %s still runs after %v", w.method, w.path, round(time.Since(w.begin))))
		})
	}
	return w
}

func (w *requestWatch) end() {
	if w.losing != nil {
		w.losing.Stop()
		if took := time.Since(w.begin); took >= w.r.opt.SlowRequest {
			w.r.trigger(CauseSlowRequest, fmt.Sprintf("%s took %v", w.what(), round(took)))
		}
	}
	if errors.Is(w.req.Context().Err(), context.DeadlineExceeded) {
		w.r.Deadline(context.DeadlineExceeded)
	}
}

// what names the request: by the pattern of its route, if there is one.
func (w *requestWatch) what() string {
	switch {
	case w.req.Pattern == "":
		return w.method + " " + w.path
	case strings.Contains(w.req.Pattern, " "):
		return w.req.Pattern
	}
	return w.method + " " + w.req.Pattern
}

func round(d time.Duration) time.Duration {
	return d.Round(max(time.Millisecond, d/1000).Truncate(time.Millisecond))
}

// Transport counts the requests that next makes whose deadline expires, see
// [Recorder.Deadline]. next may be nil for [http.DefaultTransport].
func (r *Recorder) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	if r == nil || r.expired == nil {
		return next
	}
	return transport{r, next}
}

type transport struct {
	r    *Recorder
	next http.RoundTripper
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if d, ok := req.Context().Deadline(); ok && err != nil && !time.Now().Before(d) {
		t.r.Deadline(context.DeadlineExceeded) // whatever it is called: under http.Client.Timeout it was cancelled
	} else {
		t.r.Deadline(err)
	}
	return res, err
}
