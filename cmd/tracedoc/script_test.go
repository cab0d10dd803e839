package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	httppprof "net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tracedoc": main, "flying": flying})
}

// flying is a program that does what the package flight promises of one: it puts
// leak.trace where snapshots belong. Its argument says what is special about it.
func flying() {
	dir, mode := os.Getenv(flightDir), strings.Join(os.Args[1:], " ")
	snapshot := func(why string) {
		data, err := os.ReadFile("leak.trace")
		name := filepath.Join(dir, "flying-"+why+".trace")
		if err := errors.Join(err, os.WriteFile(name+".part", data, 0o666), os.Rename(name+".part", name)); err != nil {
			panic(err)
		}
	}
	fmt.Println("the program speaks:", mode)
	if mode == "unrecorded" {
		return
	}
	asked, interrupted := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	signal.Notify(asked, signalToSnapshot(os.Getenv(flightSignal))...)
	said := fmt.Sprintf(`{"schema":"tracedoc/flight/v1","pid":%d}`, os.Getpid())
	if err := os.WriteFile(filepath.Join(dir, "flying.started.json"), []byte(said), 0o666); err != nil {
		panic(err)
	}
	for mode != "once" && mode != "failing" {
		select {
		case <-asked:
			snapshot("signal")
			continue
		case <-interrupted:
			if mode == "deaf" {
				continue
			}
		}
		snapshot("exit")
		return
	}
	snapshot("own")
	if mode == "failing" {
		os.Exit(3)
	}
}

// The recorded traces that the scripts are about.
const (
	fixtures     = "../../fixtures"
	leakTrace    = fixtures + "/goroutine-leak-chan-send/defect/go1.26.trace.zst"
	healthyTrace = fixtures + "/goroutine-leak-chan-send/mended/go1.26.trace.zst"
	oldTrace     = fixtures + "/goroutine-leak-chan-send/defect/go1.22.trace.zst"
)

// TestScripts runs testdata/script/*.txtar. Every script finds in its folder:
//
//	leak.trace       a leak is found in it; also as .gz and .zst
//	healthy.trace    nothing is wrong with it
//	old.trace        the same leak, recorded by Go 1.22
//	own.trace        recorded by this very test
//	cut.trace        leak.trace without its end
//	cut.gz           leak.trace.gz without its end
//	header.trace     the first 16 bytes of leak.trace
//	heap.pb.gz       a pprof profile; heap.pb unpacked
//
// and in its environment $URL, where a server has /leak.trace, /slow (which
// records for a while), /page.html, /missing, /failing and /hanging, and net/http/pprof, in all
// sorts of moods, below further paths; $DEAD, where nobody listens; and $FIXTURES, where the traced programs are. Beside testscript's own commands there is
//
//	status N program [args...]    runs a program that must exit with status N
//	replace OLD NEW FILE          replaces the one place in a file that has this text
//	module-with-tool DIR          makes a module that has the tool of the module in DIR
//	steps FILE SCRIPT             writes what a workflow of GitHub or a pipeline of GitLab runs into a script
//
// The go command works in scripts as it does here, without asking any server; $MODULE is this module's folder.
func TestScripts(t *testing.T) {
	files := traceFiles(t)
	server := httptest.NewServer(handler(files))
	t.Cleanup(func() { // not deferred: the scripts run in parallel, after this function
		server.CloseClientConnections() // of what hangs
		server.Close()
	})

	programs, err := filepath.Abs(fixtures)
	if err != nil {
		t.Fatal(err)
	}

	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("URL", server.URL)
			env.Setenv("DEAD", deadURL(t))
			env.Setenv("FIXTURES", programs)
			env.Setenv("MODULE", filepath.Dir(programs))
			for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
				env.Setenv(name, goEnv(t, name))
			}
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOFLAGS", "-pgo=off") // or our command, where a script builds it, is compiled once more
			env.Setenv("GOTOOLCHAIN", "local")
			for name, data := range files {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o666); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "replace": replace, "module-with-tool": moduleWithTool, "steps": steps},
	})
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	file := ts.MkAbs(args[2])
	data, err := os.ReadFile(file)
	ts.Check(err)
	if n := bytes.Count(data, []byte(args[0])); n != 1 {
		ts.Fatalf("%s has %q %d times", args[2], args[0], n)
	}
	ts.Check(os.WriteFile(file, bytes.Replace(data, []byte(args[0]), []byte(args[1]), 1), 0o666))
}

// moduleWithTool makes example.com/shop, which has our command as a tool.
func moduleWithTool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: module-with-tool DIR")
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(args[0], name))
		ts.Check(err)
		if name == "go.mod" { // with all that the tool requires
			const ours = "github.com/tracedoc/tracedoc"
			text := strings.Replace(string(data), "module "+ours, "module example.com/shop", 1)
			text += fmt.Sprintf("\ntool %s/cmd/tracedoc\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", ours, ours, ours, args[0])
			data = []byte(text)
		}
		ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o666))
	}
}

// steps takes the commands out of a workflow (run: …) or a pipeline (script: - …).
func steps(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: steps FILE SCRIPT")
	}
	data, err := os.ReadFile(args[0])
	ts.Check(err)
	var file struct {
		Jobs map[string]struct {
			Steps []struct{ Run string }
		}
		Traces struct{ Script []string }
	}
	ts.Check(yaml.Unmarshal(data, &file))
	commands := file.Traces.Script
	for _, job := range file.Jobs {
		for _, step := range job.Steps {
			if step.Run != "" {
				commands = append(commands, step.Run)
			}
		}
	}
	if len(commands) == 0 {
		ts.Fatalf("%s runs nothing", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(commands, "\n")+"\n"), 0o666))
}

// goEnv asks the go command for one of its settings.
func goEnv(t testing.TB, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(out))
}

// traceFiles makes the files that every script finds in its folder.
func traceFiles(t *testing.T) map[string][]byte {
	t.Helper()
	leak := unpackFile(t, leakTrace)
	var packed, heap bytes.Buffer
	zw := gzip.NewWriter(&packed)
	if _, err := zw.Write(leak); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pprof.Lookup("goroutine").WriteTo(&heap, 0); err != nil {
		t.Fatal(err)
	}
	zst, err := os.ReadFile(leakTrace)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := gzip.NewReader(bytes.NewReader(heap.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(profile)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"leak.trace":     leak,
		"leak.trace.gz":  packed.Bytes(),
		"leak.trace.zst": zst,
		"healthy.trace":  unpackFile(t, healthyTrace),
		"old.trace":      unpackFile(t, oldTrace),
		"own.trace":      record(t),
		"cut.trace":      leak[:len(leak)-100],
		"cut.gz":         packed.Bytes()[:packed.Len()-100],
		"header.trace":   leak[:16],
		"heap.pb.gz":     heap.Bytes(),
		"heap.pb":        plain,
	}
}

func unpackFile(t *testing.T, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(name)
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
		t.Fatalf("%s: %v", name, err)
	}
	return data
}

// record traces a small, busy and healthy program.
func record(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		t.Fatal(err)
	}
	defer trace.Stop()
	jobs := make(chan time.Duration)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for d := range jobs {
				time.Sleep(d)
			}
		})
	}
	for range 100 {
		jobs <- time.Millisecond
	}
	close(jobs)
	workers.Wait()
	trace.Stop()
	return b.Bytes()
}

// deadURL is the address of a server that has gone.
func deadURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func handler(files map[string][]byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/leak.trace", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(files["leak.trace"]) // the client's trouble is the client's to report
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(700 * time.Millisecond)
		_, _ = w.Write(files["leak.trace"])
	})
	mux.HandleFunc("/page.html", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n")
	})
	mux.HandleFunc("/failing", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Could not enable tracing: tracing is already enabled", http.StatusInternalServerError)
	})
	for path, answer := range map[string]http.HandlerFunc{
		"/pprof-at": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(files["leak.trace"]) },
		"/real":     httppprof.Trace,
		"/html":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Sign in</html>") },
		"/profile":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(files["heap.pb.gz"]) },
		"/busy": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Could not enable tracing: tracing is already enabled", 500)
		},
		"/short": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "profile duration exceeds server's WriteTimeout", 400)
		},
		"/locked":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusUnauthorized) },
		"/hanging-at": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/broken": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(files["cut.trace"])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"/endless": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(files["cut.trace"])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		mux.HandleFunc(path+"/debug/pprof/trace", answer)
	}
	mux.HandleFunc("/hanging", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/", http.NotFound)
	return mux
}
