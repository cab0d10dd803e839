package traceload

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Input is an open trace, unpacked while it is read. Close it after use.
type Input struct {
	Source string // as the user gave it
	Size   int64  // of the packed bytes; -1 where it is not known beforehand

	packed  atomic.Int64 // packed bytes read so far
	r       *bufio.Reader
	packing string   // "", "gzip", "zstd"
	head    []byte   // the first unpacked bytes, for error messages
	file    *os.File // if it is a regular one, and nobody wants a copy of what is read
	closers []func() error
}

// OpenOptions says how to reach a source. The zero value will do.
type OpenOptions struct {
	Stdin io.Reader // what "-" reads; nil is an empty input
	// Recording is called before a URL is asked for a trace that the server
	// has yet to record, with the time that it was asked to record. May be nil.
	Recording func(source string, length time.Duration)
	// Patience is how long a server may stay silent beyond the time that it
	// records; 0 means 30 seconds.
	Patience time.Duration
	// Copy gets the bytes as they are read, still packed: a source that can be
	// read only once can then be read again. nil for no copy.
	Copy io.Writer
}

// Open opens a trace: a file, "-" for standard input, or an http(s) URL that
// serves one. Plain, gzip and zstd are told apart by content. The error says in
// one line what is wrong with which source.
func Open(ctx context.Context, source string, opt OpenOptions) (*Input, error) {
	in := &Input{Source: source, Size: -1}
	raw, err := in.dial(ctx, source, opt)
	if err == nil {
		if opt.Copy != nil {
			raw = io.TeeReader(raw, opt.Copy)
		}
		err = in.unpack(raw)
	}
	if err != nil {
		_ = in.Close() // the first error is the one to tell
		return nil, err
	}
	return in, nil
}

// Read implements io.Reader with the unpacked bytes.
func (in *Input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	if in.head == nil && n > 0 {
		in.head = bytes.Clone(p[:min(n, 512)])
	}
	if err != nil && !errors.Is(err, io.EOF) && in.packing != "" {
		err = fmt.Errorf("the %s data breaks off or is damaged: %w", in.packing, err)
	}
	return n, err
}

// Recognize waits for the first bytes and says in one line what this is if it is
// no trace. What it looked at is still there to be read.
func (in *Input) Recognize() error {
	head, err := in.r.Peek(len(traceStart))
	switch {
	case string(head) == traceStart:
		return nil
	case len(head) == 0 && err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("%s: cannot read the trace: %w", in.Source, err)
	}
	head, _ = in.r.Peek(min(in.r.Buffered(), 512)) // they are there
	return fmt.Errorf("%s: %s, not a Go execution trace", in.Source, looksLike(head))
}

// traceStart is how every trace begins.
const traceStart = "go 1."

// PackedBytes returns how many packed bytes have been read so far; it may be
// called while another goroutine reads.
func (in *Input) PackedBytes() int64 { return in.packed.Load() }

// Close releases the source.
func (in *Input) Close() error {
	var errs []error
	for i := len(in.closers) - 1; i >= 0; i-- {
		errs = append(errs, in.closers[i]())
	}
	in.closers = nil
	return errors.Join(errs...)
}

func (in *Input) dial(ctx context.Context, source string, opt OpenOptions) (io.Reader, error) {
	switch {
	case source == "-":
		if opt.Stdin == nil {
			return strings.NewReader(""), nil
		}
		return opt.Stdin, nil
	case strings.HasPrefix(source, "http://"), strings.HasPrefix(source, "https://"):
		return in.get(ctx, source, opt)
	}
	f, err := os.Open(source)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("%s: cannot open the trace: %w", source, err)
	}
	in.closers = append(in.closers, f.Close)
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: cannot open the trace: %w", source, err)
	}
	if st.IsDir() {
		return nil, fmt.Errorf("%s: is a directory: expected a file that holds a Go execution trace", source)
	}
	if st.Mode().IsRegular() {
		in.Size = st.Size()
		if opt.Copy == nil {
			in.file = f
		}
	}
	return f, nil
}

// unpack recognises the packing by its first bytes.
func (in *Input) unpack(raw io.Reader) error {
	br := bufio.NewReaderSize(&countingReader{raw, &in.packed}, 64<<10)
	in.r = br
	head, err := br.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: cannot read the trace: %w", in.Source, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		in.packing = "gzip"
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("%s: damaged gzip data: %w", in.Source, err)
		}
		in.closers = append(in.closers, func() error { _ = z.Close(); return nil }) // its error is that of the last Read
		in.r = bufio.NewReaderSize(&bombGuard{r: z, packed: &in.packed}, 64<<10)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		in.packing = "zstd"
		// One decoder goroutine and at most 128 MB of window: a frame may ask
		// for more than a machine has.
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return fmt.Errorf("%s: damaged zstd data: %w", in.Source, err)
		}
		in.closers = append(in.closers, func() error { z.Close(); return nil })
		in.r = bufio.NewReaderSize(&bombGuard{r: z, packed: &in.packed}, 64<<10)
	}
	return nil
}

// looksLike guesses what input that is no trace is, for an error message.
func looksLike(head []byte) string {
	trimmed := bytes.ToLower(bytes.TrimSpace(head[:min(len(head), 256)]))
	switch {
	case len(head) == 0:
		return "this is empty"
	case bytes.HasPrefix(trimmed, []byte("<!doctype html")), bytes.HasPrefix(trimmed, []byte("<html")):
		return "this is an HTML page"
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return "this is a program (ELF)"
	case bytes.HasPrefix(trimmed, []byte("{")), bytes.HasPrefix(trimmed, []byte("[")):
		return "this is JSON or the like"
	case looksLikeProfile(head):
		return "this is a pprof profile"
	case looksLikeText(head):
		return "this is text"
	}
	return "this is binary data of another kind"
}

// looksLikeProfile tells whether head begins like the protocol buffer of a
// profile: field 1 (sample_type) or 11 (period_type), which runtime/pprof writes
// first, holding a message whose own first field is a varint.
func looksLikeProfile(head []byte) bool {
	return len(head) > 4 && (head[0] == 1<<3|2 || head[0] == 11<<3|2) && head[1] < 16 && head[2] == 1<<3
}

// looksLikeText tells whether head is UTF-8, but for a last rune that may be cut.
func looksLikeText(head []byte) bool {
	for i := len(head) - 1; i >= 0 && i >= len(head)-utf8.UTFMax; i-- {
		if utf8.RuneStart(head[i]) {
			if !utf8.FullRune(head[i:]) {
				head = head[:i]
			}
			break
		}
	}
	return utf8.Valid(head) && !bytes.ContainsRune(head, 0)
}

// get asks a server for a trace.
func (in *Input) get(ctx context.Context, source string, opt OpenOptions) (io.Reader, error) {
	u, err := url.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%s: not a URL: %w", source, err)
	}
	if _, secret := u.User.Password(); secret { // which belongs into no report and no log
		source = u.Redacted()
		in.Source = source
	}
	patience := opt.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	var recording time.Duration
	if s, err := strconv.ParseFloat(u.Query().Get("seconds"), 64); err == nil && s > 0 && s < 24*3600 {
		recording = time.Duration(s * float64(time.Second))
	}
	if opt.Recording != nil {
		opt.Recording(source, recording)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	in.closers = append(in.closers, func() error { cancel(nil); return nil })
	silent := fmt.Errorf("the server sent nothing for %v", recording+patience)
	// One timer watches connection, header and body alike. It runs only while we
	// wait for the server: decoding what it sent may take longer.
	watch := time.AfterFunc(recording+patience, func() { cancel(silent) })
	in.closers = append(in.closers, func() error { watch.Stop(); return nil })

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: not a URL: %w", source, err)
	}
	// A server of ours may pack it; otherwise the transport's own gzip would hide the size.
	client := &http.Client{Transport: &http.Transport{
		Proxy:              http.ProxyFromEnvironment,
		DialContext:        (&net.Dialer{Timeout: min(patience, 10*time.Second)}).DialContext,
		DisableCompression: true,
	}}
	in.closers = append(in.closers, func() error { client.CloseIdleConnections(); return nil })
	resp, err := client.Do(req)
	watch.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("%s: cannot fetch the trace: %w", source, err)
	}
	in.closers = append(in.closers, resp.Body.Close)
	if resp.StatusCode != http.StatusOK {
		watch.Reset(patience)
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // best effort: it only decorates the error
		text := printable(string(body))
		if strings.HasPrefix(text, "<") {
			text = ""
		}
		return nil, &AnswerError{Source: source, Code: resp.StatusCode, Status: printable(resp.Status), Text: text}
	}
	in.Size = resp.ContentLength
	return &watchedReader{r: resp.Body, ctx: ctx, watch: watch, patience: recording + patience}, nil
}

// AnswerError says that a server answered with an error instead of a trace.
type AnswerError struct {
	Source string
	Code   int    // the status code of HTTP
	Status string // such as "404 Not Found"
	Text   string // the first line of the answer; "" if it is a page
}

func (e *AnswerError) Error() string {
	text := e.Text
	if text != "" {
		text = ": " + text
	}
	return fmt.Sprintf("%s: the server answered %s%s; expected a trace, as /debug/pprof/trace?seconds=5 serves it", e.Source, e.Status, text)
}

// printable keeps the first line of a foreign text, without control characters.
func printable(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A few packed bytes can stand for more than anybody can wait for. Traces pack
// to a tenth or so, to a fiftieth where the program is idle.
const (
	bombSize  = 16 << 20 // unpacked bytes that need no justification
	bombRatio = 1000
)

// bombGuard ends the reading of what no trace would pack that well.
type bombGuard struct {
	r      io.Reader
	packed *atomic.Int64 // bytes read for it so far
	n      int64         // bytes unpacked
}

func (b *bombGuard) Read(p []byte) (int, error) {
	if b.n > bombSize && b.n/bombRatio > b.packed.Load() {
		return 0, fmt.Errorf("it unpacks to more than %d times its size", bombRatio)
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	return n, err
}

// watchedReader runs a watchdog during each read and tells why it was cut off.
type watchedReader struct {
	r        io.Reader
	ctx      context.Context
	watch    *time.Timer
	patience time.Duration
}

func (w *watchedReader) Read(p []byte) (int, error) {
	w.watch.Reset(w.patience)
	n, err := w.r.Read(p)
	w.watch.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(w.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}
