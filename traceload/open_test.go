package traceload

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func packGzip(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func packZstd(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// today returns the recorded trace of the newest toolchain.
func today(t testing.TB) recorded {
	t.Helper()
	list := recordings(t)
	return list[len(list)-1]
}

// TestPacking checks that packed traces are recognised by content, and the count
// of packed bytes.
func TestPacking(t *testing.T) {
	rec := today(t)
	_, plain, _ := sights(t, rec.data)
	for name, data := range map[string][]byte{
		"plain":         rec.data,
		"gzip":          packGzip(t, rec.data),
		"two of gzip":   append(packGzip(t, rec.data[:1000]), packGzip(t, rec.data[1000:])...),
		"zstd":          packZstd(t, rec.data),
		"two of zstd":   append(packZstd(t, rec.data[:1000]), packZstd(t, rec.data[1000:])...),
		"gzip of small": packGzip(t, rec.data),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "misleading.txt")
			if err := os.WriteFile(file, data, 0o666); err != nil {
				t.Fatal(err)
			}
			in, err := Open(context.Background(), file, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if in.Size != int64(len(data)) || in.Source != file {
				t.Errorf("%s has %d bytes, want %d", in.Source, in.Size, len(data))
			}
			_, info, err := Walk(in, discard, nil)
			if err != nil || !info.Complete || info.Bytes != int64(len(rec.data)) || info.Source != file || info.Duration != time.Duration(plain.Now) {
				t.Errorf("%v, %+v", err, info)
			}
			if in.PackedBytes() != int64(len(data)) {
				t.Errorf("%d packed bytes read, want %d", in.PackedBytes(), len(data))
			}
			if err := errors.Join(in.Close(), in.Close()); err != nil {
				t.Errorf("closed twice: %v", err)
			}
		})
	}
}

// TestNoTrace checks what is said of input that is no trace, or of one that
// nothing can be said about.
func TestNoTrace(t *testing.T) {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 0); err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(profile.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	rawProfile, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	rec := today(t)
	text := []byte("goroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d\n")
	const header = "go 1.%d trace\x00\x00\x00"

	tests := []struct {
		name string
		data []byte
		want string // part of the error
	}{
		{"empty", nil, "empty: expected a Go execution trace"},
		{"text", text, "this is text"},
		{"short text", []byte("hi"), "this is text"},
		{"text in UTF-8", []byte(strings.Repeat("größer ", 100)), "this is text"},
		{"HTML", []byte("\n<!DOCTYPE html><html><body>login</body></html>"), "this is an HTML page"},
		{"HTML without type", []byte("<HTML><head>"), "this is an HTML page"},
		{"JSON", []byte(`{"schema": "tracedoc/report/v1"}`), "this is JSON"},
		{"JSON list", []byte(`[1, 2]`), "this is JSON"},
		{"profile", profile.Bytes(), "this is a pprof profile"},
		{"unpacked profile", rawProfile, "this is a pprof profile"},
		{"binary", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\xff\xfe"), "binary data"},
		{"zeros", make([]byte, 1000), "binary data"},
		{"packed text", packGzip(t, text), "this is text"},
		{"zstd of text", packZstd(t, text), "this is text"},
		{"packed twice", packGzip(t, packGzip(t, rec.data)), "binary data"},
		{"gzip of nothing", packGzip(t, nil), "empty"},
		{"zstd of nothing", packZstd(t, nil), "empty"},
		{"gzip's magic", []byte("\x1f\x8b"), "damaged gzip data"},
		{"no gzip", []byte("\x1f\x8b" + strings.Repeat("x", 100)), "damaged gzip data"},
		{"zstd's magic", []byte("\x28\xb5\x2f\xfd"), "zstd data breaks off or is damaged"},
		{"no zstd", []byte("\x28\xb5\x2f\xfd" + strings.Repeat("\xff", 100)), "zstd data breaks off or is damaged"},
		{"half a header", []byte("go 1.2"), "not a Go execution trace"},
		{"future format", fmt.Appendf(nil, header+"\x01\x01\x01", 99), "a trace of format go1.99 cannot be read: unknown or unsupported trace version go 1.99"},
		{"format in between", fmt.Appendf(nil, header+"\x01\x01\x01", 24), "a trace of format go1.24 cannot be read: unknown"},
		{"Go 1.5", fmt.Appendf(nil, "go 1.5 trace\x00\x00\x00\x00 and so on"), "a trace of format go1.5 cannot be read: unknown"},
		{"header of 1.21", fmt.Appendf(nil, header, 21), "cannot be read"},
		{"header of 1.22", fmt.Appendf(nil, header, 22), "not one whole generation"},
		{"header of 1.26", fmt.Appendf(nil, header, 26), "it holds a header and no events"},
		{"header and junk", fmt.Appendf(nil, header+"junk", 26), "not one whole generation"},
		{"gzip cut early", packGzip(t, rec.data)[:3000], "the gzip data breaks off or is damaged"},
		{"zstd cut early", packZstd(t, rec.data)[:3000], "the zstd data breaks off or is damaged"},
	}
	if runtime.GOOS == "linux" {
		tests = append(tests, struct {
			name string
			data []byte
			want string
		}{"program", program, "this is a program (ELF)"})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := walkBytes(t, test.data)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant … %s …", err, test.want)
			}
		})
	}
}

// TestFiles checks sources that cannot be opened.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("go 1.26 trace\x00\x00\x00"), 0); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		dir:                               dir + ": is a directory: expected a file that holds a Go execution trace",
		filepath.Join(dir, "missing.out"): filepath.Join(dir, "missing.out") + ": cannot open the trace: no such file or directory",
		"":                                ": cannot open the trace: no such file or directory",
	}
	if os.Getuid() > 0 {
		tests[secret] = secret + ": cannot open the trace: permission denied"
	}
	for source, want := range tests {
		in, err := Open(context.Background(), source, OpenOptions{})
		if err == nil {
			_ = in.Close()
			t.Errorf("%s can be opened", source)
		} else if err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestPackedCut checks that of a packed trace that breaks off all generations
// before the break are told.
func TestPackedCut(t *testing.T) {
	rec := today(t)
	starts, counts := generations(t, rec.data), eventsPerGeneration(t, rec.data)
	for name, packed := range map[string][]byte{"gzip": packInBlocks(t, rec.data, false), "zstd": packInBlocks(t, rec.data, true)} {
		t.Run(name, func(t *testing.T) {
			told := 0
			for cut := 100; cut < len(packed); cut += 509 {
				_, info, err := walkBytes(t, packed[:cut])
				if err != nil {
					continue
				}
				told++
				want := "the " + name + " data breaks off or is damaged"
				if info.Complete || !strings.Contains(info.Why, want) {
					t.Fatalf("cut at byte %d: %+v, want %q", cut, info, want)
				}
				whole, events := 0, int64(0)
				for starts[whole+1] <= int(info.Bytes) {
					events += counts[whole]
					whole++
				}
				if info.Events != events || info.Unread != info.Bytes-int64(starts[whole]) {
					t.Fatalf("cut at byte %d: %+v, want %d events, %d bytes unread", cut, info, events, info.Bytes-int64(starts[whole]))
				}
			}
			if told < 5 {
				t.Errorf("only %d cuts had a whole generation before them", told)
			}
		})
	}
	t.Run("checksum", func(t *testing.T) {
		packed := packGzip(t, rec.data)
		packed[len(packed)-8] ^= 1
		if _, info, err := walkBytes(t, packed); err == nil && info.Complete {
			t.Errorf("a wrong checksum went unnoticed: %+v", info)
		}
	})
}

// packInBlocks packs data so that each 4 kB can be unpacked without what follows.
func packInBlocks(t testing.TB, data []byte, zstandard bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w interface {
		io.WriteCloser
		Flush() error
	} = gzip.NewWriter(&buf)
	if zstandard {
		z, err := zstd.NewWriter(&buf, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	for len(data) > 0 {
		n := min(4096, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestBomb checks that a small file which unpacks to gigabytes is given up soon.
func TestBomb(t *testing.T) {
	var bomb bytes.Buffer
	w, err := zstd.NewWriter(&bomb, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(w, "go 1.26 trace\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	// Batches of events of one generation, all of them alike.
	events := bytes.Repeat([]byte{0}, 64_000)
	batch := append(binary.AppendUvarint([]byte{tagEventBatch, 1, 1, 1}, uint64(len(events))), events...)
	for range 64 << 20 / len(batch) {
		if _, err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if bomb.Len() > 64<<20/bombRatio {
		t.Fatalf("%d bytes: that is no bomb", bomb.Len())
	}
	_, info, err := walkBytes(t, bomb.Bytes())
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than 1000 times its size") || info.Bytes > 2*bombSize {
		t.Errorf("%v after %d bytes", err, info.Bytes)
	}
}

// serve starts a server on loopback and returns its address.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// fetch opens a URL and walks over what it serves.
func fetch(t *testing.T, ctx context.Context, url string, opt OpenOptions) (Info, error) {
	t.Helper()
	in, err := Open(ctx, url, opt)
	if err != nil {
		oneLine(t, err.Error())
		if !strings.HasPrefix(err.Error(), url+": ") {
			t.Errorf("the error does not begin with the URL: %v", err)
		}
		return Info{}, err
	}
	defer in.Close()
	observe, finish := watch(t)
	p, info, err := Walk(in, observe, nil)
	if err != nil {
		oneLine(t, err.Error())
		return info, err
	}
	finish(p, info)
	return info, nil
}

func TestURL(t *testing.T) {
	rec := today(t)
	starts := generations(t, rec.data)
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	const patience = 600 * time.Millisecond

	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string // part of the error; "" for a whole trace
		why     string // part of Info.Why, for a trace that breaks off
	}{
		{"trace", func(w http.ResponseWriter, _ *http.Request) { w.Write(rec.data) }, "", ""},
		{"packed", func(w http.ResponseWriter, _ *http.Request) { w.Write(packGzip(t, rec.data)) }, "", ""},
		{"redirected", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/trace", http.StatusFound)
				return
			}
			w.Write(rec.data)
		}, "", ""},
		{"slow but alive", func(w http.ResponseWriter, _ *http.Request) {
			for data := rec.data; len(data) > 0; {
				n := min(10_000, len(data))
				w.Write(data[:n])
				w.(http.Flusher).Flush()
				data = data[n:]
				time.Sleep(patience / 3)
			}
		}, "", ""},
		{"not found", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no such\x1b[31m page", http.StatusNotFound)
		},
			"the server answered 404 Not Found: no such[31m page; expected a trace", ""},
		{"not found in HTML", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<html>\n<title>404</title></html>")
		}, "the server answered 404 Not Found; expected a trace", ""},
		{"tracing already", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Could not enable tracing: tracing is already enabled\n", http.StatusInternalServerError)
		}, "500 Internal Server Error: Could not enable tracing: tracing is already enabled; expected", ""},
		{"not found and silent", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.(http.Flusher).Flush()
			wait(r, forever)
		}, "the server answered 404 Not Found; expected a trace", ""},
		{"nothing", func(w http.ResponseWriter, _ *http.Request) {}, "empty: expected a Go execution trace", ""},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><title>login</title>") }, "this is an HTML page", ""},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { wait(r, forever) }, "cannot fetch the trace: the server sent nothing for 600ms", ""},
		{"silent after its header", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			wait(r, forever)
		}, "the server sent nothing for 600ms", ""},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot fetch the trace: EOF", ""},
		{"stops in the first generation", func(w http.ResponseWriter, r *http.Request) {
			w.Write(rec.data[:1000])
			w.(http.Flusher).Flush()
			wait(r, forever)
		}, "not one whole generation of the trace could be read (the server sent nothing for 600ms)", ""},
		{"stops in the second generation", func(w http.ResponseWriter, r *http.Request) {
			w.Write(rec.data[:starts[1]+1000])
			w.(http.Flusher).Flush()
			wait(r, forever)
		}, "", "the server sent nothing for 600ms"},
		{"breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(rec.data)))
			w.Write(rec.data[:starts[2]+1000])
		}, "", "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			info, err := fetch(t, context.Background(), serve(t, test.handler), OpenOptions{Patience: patience})
			switch {
			case test.want != "":
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got  %v\nwant … %s …", err, test.want)
				}
			case err != nil:
				t.Error(err)
			case info.Complete != (test.why == "") || !strings.Contains(info.Why, test.why):
				t.Errorf("%+v, want %q", info, test.why)
			case test.why != "" && info.Unread != 1000:
				t.Errorf("%d bytes unread, want 1000", info.Unread)
			}
		})
	}
}

// wait returns when the client is gone or the test is over.
func wait(r *http.Request, forever <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-forever:
	}
}

// TestURLPatience checks that only the server's silence counts, not ours.
func TestURLPatience(t *testing.T) {
	rec := today(t)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(rec.data) })
	const patience = 50 * time.Millisecond
	in, err := Open(context.Background(), url, OpenOptions{Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	time.Sleep(3 * patience)
	if _, info, err := Walk(in, discard, nil); err != nil || !info.Complete {
		t.Errorf("%v, %+v", err, info)
	}
}

func TestURLRecording(t *testing.T) {
	rec := today(t)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("seconds") == "0.5" {
			time.Sleep(500 * time.Millisecond) // as long as it records, net/http/pprof sends nothing
		}
		w.Write(rec.data)
	}) + "/debug/pprof/trace?seconds=0.5"
	var told []string
	info, err := fetch(t, context.Background(), url, OpenOptions{
		Patience:  200 * time.Millisecond,
		Recording: func(source string, length time.Duration) { told = append(told, fmt.Sprint(source, " ", length)) },
	})
	if err != nil || !info.Complete || info.Source != url {
		t.Errorf("%v, %+v", err, info)
	}
	if len(told) != 1 || told[0] != url+" 500ms" {
		t.Errorf("told to record: %q", told)
	}
}

func TestURLUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String() + "/debug/pprof/trace"
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		closed:               "cannot fetch the trace: dial tcp " + listener.Addr().String(),
		"http://":            "cannot fetch the trace",
		"http://[::1":        "not a URL",
		"http://%zz/":        "not a URL",
		"http://host\x7f/":   "not a URL",
		"https://127.0.0.1:": "cannot fetch the trace",
	} {
		_, err := fetch(t, context.Background(), url, OpenOptions{Patience: time.Second})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got  %v\nwant … %s …", url, err, want)
		}
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(errors.New("interrupted"))
		<-r.Context().Done()
	})
	if _, err := fetch(t, ctx, url, OpenOptions{}); err == nil || !strings.HasSuffix(err.Error(), "cannot fetch the trace: interrupted") {
		t.Errorf("cancelled by the user: %v", err)
	}
}

// TestURLLeavesNothing checks that a closed input leaves no goroutine behind.
func TestURLLeavesNothing(t *testing.T) {
	rec := today(t)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(rec.data)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ours := func() int {
		buf := make([]byte, 1<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "net/http.(*persistConn)")
	}
	before := ours()
	for range 5 {
		in, err := Open(context.Background(), url, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(in, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	for begin := time.Now(); ours() > before; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			t.Fatalf("%d frames of connections, %d before", ours(), before)
		}
	}
}
