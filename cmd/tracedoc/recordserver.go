package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// traceURL completes what the user calls a server: "host:6060", ":6060", a URL,
// with or without the path of net/http/pprof. length is what --for says, 0 if
// nothing; then the URL's own seconds count.
func traceURL(server string, length time.Duration) (*url.URL, time.Duration, error) {
	full := server
	if !strings.Contains(server, "://") {
		full = "http://" + server
	}
	u, err := url.Parse(full)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: neither a URL nor host:port: %w", server, errors.Unwrap(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, 0, fmt.Errorf("%s: only http and https can be recorded from, not %s", u.Redacted(), u.Scheme)
	}
	if u.Hostname() == "" {
		if u.Port() == "" {
			return nil, 0, fmt.Errorf("%s: names no host", server)
		}
		u.Host = "localhost:" + u.Port()
	}
	const profiles = "/pprof/"
	u.Path = strings.TrimRight(u.Path, "/")
	switch dir, last := path.Split(u.Path); {
	case last == "pprof":
		u.Path += "/trace"
	case strings.HasSuffix(dir, profiles) && last != "trace":
		return nil, 0, fmt.Errorf("%s: this is the profile %q, not a trace: leave out what comes after %s", u.Redacted(), last, strings.TrimSuffix(profiles, "/"))
	case !strings.HasSuffix(dir, profiles):
		u.Path += "/debug/pprof/trace"
	}
	u.RawPath = ""
	query := u.Query()
	if s, err := strconv.ParseFloat(query.Get("seconds"), 64); length == 0 && err == nil && s > 0 && s < 24*3600 {
		length = time.Duration(s * float64(time.Second))
	}
	if length == 0 {
		length = serverLength
	}
	query.Set("seconds", strconv.FormatFloat(length.Seconds(), 'f', -1, 64))
	u.RawQuery = query.Encode()
	u.Fragment = ""
	return u, length, nil
}

// recordServer keeps a trace that a server records for us.
func (t *tool) recordServer(ctx context.Context, u *url.URL, length time.Duration, f *recordFlags) (recording, error) {
	name := f.keep
	if name == "" {
		name = unused(fileName(u.Host), ".trace")
	} else if _, err := os.Lstat(name); err == nil {
		return recording{}, fmt.Errorf("%s: is there already: name a new file for the trace", name)
	}
	// While it is written it is hidden: what has the name of a trace is one.
	part, err := os.OpenFile(filepath.Join(filepath.Dir(name), ".tracedoc-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return recording{}, fmt.Errorf("%s: cannot keep the trace: %w", name, reason(err))
	}
	defer func() { _ = os.Remove(part.Name()) }() // it has its own name by then, or holds nothing
	size, cut := t.download(ctx, u, length, part)
	if err := part.Close(); err != nil {
		return recording{}, fmt.Errorf("%s: cannot keep the trace: %w", name, reason(err))
	}
	if size == 0 {
		if ctx.Err() != nil {
			cut = fmt.Errorf("%s: interrupted before the server sent anything", u.Redacted())
		}
		return recording{}, cut
	}
	if err := os.Link(part.Name(), name); err != nil { // which, unlike a renaming, overwrites nothing
		if _, there := os.Lstat(name); there == nil {
			return recording{}, fmt.Errorf("%s: cannot keep the trace: %w", name, reason(err))
		}
		if err := os.Rename(part.Name(), name); err != nil { // no links on this file system
			return recording{}, fmt.Errorf("%s: cannot keep the trace: %w", name, reason(err))
		}
	}
	switch {
	case cut == nil:
		t.note("the trace is in %s (%.1f MB)", name, float64(size)/1e6)
	case ctx.Err() != nil:
		t.note("interrupted: what came until then is in %s (%.1f MB)", name, float64(size)/1e6)
	default:
		t.note("%v; what came until then is in %s (%.1f MB)", cut, name, float64(size)/1e6)
	}
	return recording{traces: []string{name}}, nil
}

// download writes the trace to w. It returns how much of a trace came, and why
// it is not all of it; nil if it is.
func (t *tool) download(ctx context.Context, u *url.URL, length time.Duration, w io.Writer) (int64, error) {
	if _, ok := terminal(t.stderr); !ok { // there is no meter
		t.note("%s: recording for %v", u.Redacted(), length)
	}
	meter := t.newMeter(u.Host) // the whole URL leaves no room for the rest
	defer meter.stop()
	in, err := traceload.Open(ctx, u.String(), traceload.OpenOptions{Recording: meter.recording})
	if err != nil {
		return 0, whyNoTrace(u, err)
	}
	defer func() { _ = in.Close() }() // it was only read from
	if err := in.Recognize(); err != nil {
		return 0, fmt.Errorf("%w; is %s where net/http/pprof is mounted?", err, path.Dir(u.Path))
	}
	began := time.Now()
	size, err := io.Copy(w, in)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%s: the trace breaks off after %v: %w", u.Redacted(), time.Since(began).Round(100*time.Millisecond), err)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w (if the server's WriteTimeout is shorter than %v, ask for less with --for)", err, length)
		}
	}
	return size, err
}

// whyNoTrace adds to an error what can be done about it.
func whyNoTrace(u *url.URL, err error) error {
	const imports = `import _ "net/http/pprof" and serve http.DefaultServeMux`
	var answer *traceload.AnswerError
	errors.As(err, &answer)
	has := func(text string) bool { return answer != nil && strings.Contains(answer.Text, text) }
	said := func(advice string, args ...any) error {
		text := ""
		if answer.Text != "" {
			text = " (" + answer.Text + ")"
		}
		return fmt.Errorf("%s: the server answered %s%s: %s", answer.Source, answer.Status, text, fmt.Sprintf(advice, args...))
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: is the program running, and does it serve net/http/pprof there (%s)?", err, imports)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: use http://", err)
	case has("HTTP request to an HTTPS server"):
		return said("use https://")
	case has("already enabled"):
		return said("somebody else is tracing the program; try again when that is over")
	case has("WriteTimeout"):
		return said("record less, with --for")
	case answer == nil:
		return err
	case answer.Code == http.StatusNotFound:
		return said("there is no pprof; the program should %s; if it is mounted elsewhere, name the whole URL", imports)
	case answer.Code == http.StatusUnauthorized:
		return said("a name and a password go into the URL, as in http://name:password@host")
	}
	return err
}
