package flight

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/render"
)

// Handler answers with a report about the last seconds. Mount it where only those
// get who may see the service's insides:
//
//	GET  /debug/tracedoc                       a report, as HTML, JSON or text by Accept
//	GET  /debug/tracedoc?format=sarif          in this format of tracedoc analyze
//	GET  /debug/tracedoc?format=trace          the trace itself, for tracedoc or go tool trace
//	GET  /debug/tracedoc?snapshots             what is kept, as HTML, JSON or text
//	GET  /debug/tracedoc?snapshot=NAME         the report, or with &format=trace the trace, of one that is kept
//	POST /debug/tracedoc?reason=why            keep the last seconds; answers with the Snapshot
//
// One analysis runs at a time, on a share of one processor. While it does, others
// get status 503 and when to try again.
func (r *Recorder) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		a := &answer{r: r, w: w, req: req, query: req.URL.Query()}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Accept")
		if err := a.serve(); err != nil {
			a.fail(err)
		}
	})
}

// answer is one request to Handler and what becomes of it.
type answer struct {
	r     *Recorder
	w     http.ResponseWriter
	req   *http.Request
	query url.Values
}

// statusError is an error with a status of HTTP.
type statusError struct {
	status int
	after  time.Duration // when to try again; 0 if that is of no use
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }

func status(code int, format string, args ...any) error {
	return &statusError{code, 0, fmt.Errorf("flight: "+format, args...)}
}

func (a *answer) fail(err error) {
	var s *statusError
	if !errors.As(err, &s) {
		s = &statusError{http.StatusInternalServerError, 0, err}
	}
	var limited *LimitedError
	switch {
	case errors.As(err, &limited):
		s = &statusError{http.StatusTooManyRequests, limited.Wait, err}
	case errors.Is(err, errStuck), errors.Is(err, errCrowded):
		s = &statusError{http.StatusServiceUnavailable, time.Second, err}
	case errors.Is(err, errNoRecorder), errors.Is(err, errStopped):
		s = &statusError{http.StatusServiceUnavailable, 0, err}
	case errors.Is(err, errNoDir):
		s = &statusError{http.StatusConflict, 0, err}
	}
	if s.after > 0 {
		a.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(s.after.Seconds()))))
	}
	http.Error(a.w, render.Printable(err.Error()), s.status)
}

func (a *answer) serve() error {
	if a.r == nil || a.r.ctx.Err() != nil {
		return errNoRecorder
	}
	switch a.req.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		return a.keep()
	default:
		a.w.Header().Set("Allow", "GET, HEAD, POST")
		return status(http.StatusMethodNotAllowed, "%s is not answered: use GET, or POST to keep a snapshot", render.Printable(a.req.Method))
	}
	if a.query.Has("snapshots") {
		return a.list()
	}
	src, err := a.stored()
	if err != nil {
		return err
	}
	if a.query.Get("format") == formatTrace {
		a.w.Header().Set("Content-Type", typeBinary)
		if a.req.Method == http.MethodHead { // not worth the work
			return nil
		}
		return a.trace(src)
	}
	format, kind, err := a.format()
	if err != nil {
		return err
	}
	a.w.Header().Set("Content-Type", kind)
	if a.req.Method == http.MethodHead {
		return nil
	}
	return a.report(src, format)
}

// keep takes a snapshot.
func (a *answer) keep() error {
	s, err := a.r.ask(a.req.Context(), CauseHTTP, cmp.Or(a.query.Get("reason"), "asked for over HTTP"))
	if err != nil {
		return err
	}
	a.w.Header().Set("Location", a.link(s.Name))
	return a.json(http.StatusCreated, s)
}

// link is the address of the report of a snapshot.
func (a *answer) link(name string) string {
	return a.req.URL.EscapedPath() + "?" + url.Values{"snapshot": {name}}.Encode()
}

func (a *answer) json(status int, v any) error {
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(status)
	e := json.NewEncoder(a.w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // who has gone needs no answer
	return nil
}

// stored returns the snapshot that the request names; nil if it names none.
func (a *answer) stored() (*source, error) {
	if !a.query.Has("snapshot") {
		return nil, nil
	}
	if a.r.store == nil {
		return nil, errNoDir
	}
	list, err := a.r.store.list()
	if err != nil {
		return nil, err
	}
	name := a.query.Get("snapshot")
	for i := range list { // a name is never made into a path
		if list[i].Name == name {
			a.w.Header().Set("Link", "<"+a.link(name)+"&format="+formatTrace+`>; rel="related"; title="the trace"`)
			return list[i].source(), nil
		}
	}
	return nil, status(http.StatusNotFound, "there is no snapshot %q: ?snapshots lists them", render.Printable(name))
}

// alone runs f unless somebody else is being answered.
func (a *answer) alone(f func(ctx context.Context) error) error {
	select {
	case a.r.judging <- struct{}{}:
	default:
		a.r.stats.busy.Add(1)
		return &statusError{http.StatusServiceUnavailable, 2 * time.Second, errors.New("flight: one report is being made already; try again when it is done")}
	}
	defer func() { <-a.r.judging }()
	return f(a.req.Context())
}

// formatTrace is what ?format= takes for the trace itself.
const formatTrace = "trace"

// sendWithin is how long a client may take to receive a trace.
const sendWithin = time.Minute

// trace sends a trace as it is: of what is stored, or of now.
func (a *answer) trace(src *source) error {
	return a.alone(func(ctx context.Context) error {
		if src == nil {
			var err error
			if src, err = a.r.live(ctx); err != nil {
				return err
			}
		}
		f, err := src.open()
		if err != nil {
			return status(http.StatusNotFound, "%s: cannot open the snapshot: %w", src.name, reason(err))
		}
		defer func() { _ = f.Close() }() // it was only read from
		h := a.w.Header()
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", src.name))
		_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(sendWithin)) // not all writers can
		_, _ = io.Copy(a.w, f)                                                           // who has gone needs no answer
		return nil
	})
}

func (a *answer) report(src *source, format render.Format) error {
	var data []byte
	err := a.alone(func(ctx context.Context) (err error) {
		if src == nil {
			if src, err = a.r.live(ctx); err != nil {
				return err
			}
		}
		a.r.stats.reports.Add(1)
		data, err = a.r.report(ctx, src, format)
		return err
	})
	if err != nil {
		return err
	}
	a.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = a.w.Write(data) // who has gone needs no answer
	return nil
}

// list says what is kept.
func (a *answer) list() error {
	if a.r.store == nil {
		return errNoDir
	}
	list, err := a.r.store.list()
	if err != nil {
		return err
	}
	slices.Reverse(list) // the latest first
	kind, err := a.kind([]string{typeText, typeJSON, typeHTML})
	if err != nil {
		return err
	}
	if kind == typeJSON {
		return a.json(http.StatusOK, list)
	}
	a.w.Header().Set("Content-Type", kind)
	var b strings.Builder
	for _, s := range list {
		line := fmt.Sprintf("%10d bytes  %s", s.Bytes, render.Printable(s.Reason))
		if kind == typeHTML {
			link := html.EscapeString(a.link(s.Name))
			fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a> (<a href=\"%s&amp;format=trace\">trace</a>) %s\n", link, html.EscapeString(s.Name), link, html.EscapeString(line))
		} else {
			fmt.Fprintf(&b, "%s  %s\n", s.Name, line)
		}
	}
	if kind == typeHTML {
		a.w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = io.WriteString(a.w, "<!doctype html><meta charset=utf-8><title>Snapshots</title><h1>Snapshots</h1><ul>\n")
	}
	_, _ = io.WriteString(a.w, b.String()) // who has gone needs no answer
	return nil
}
