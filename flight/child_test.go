//go:build unix

package flight

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// children is what this binary does where a test runs it as a process of its own.
// The folder for snapshots is its first argument.
var children = map[string]func(){
	"write":   writeAlways,
	"signals": func() { serveSignals(syscall.SIGUSR1, syscall.SIGQUIT) },
	"catches": func() {
		ch := make(chan os.Signal, 8)
		signal.Notify(ch, syscall.SIGQUIT)
		go func() {
			for range ch {
				fmt.Println("caught")
			}
		}()
		serveSignals(syscall.SIGQUIT)
	},
	"full":   fullDisk,
	"driven": func() { serveSignals() },
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
}

// busy fills the trace.
func busy() {
	ping := make(chan int)
	go func() {
		for range ping {
		}
	}()
	for {
		ping <- 1
	}
}

// writeAlways writes one snapshot after the other until it is killed.
func writeAlways() {
	r, err := Start(Options{Dir: os.Args[1], Name: "victim", Interval: time.Nanosecond, Keep: 3, Logger: quiet})
	must(err)
	go busy()
	fmt.Println("ready")
	for {
		_, err := r.Snapshot(r.ctx, "again")
		must(err)
	}
}

func serveSignals(sigs ...os.Signal) {
	r, err := Start(Options{Dir: os.Args[1], Name: "child", Signals: sigs, Interval: time.Nanosecond, Logger: quiet})
	must(err)
	fmt.Println("ready")
	_, _ = io.ReadAll(os.Stdin) // until the test closes it
	must(r.Close())
	fmt.Println("closed")
}

// fullDisk cannot write more than a few kilobytes to any file.
func fullDisk() {
	signal.Ignore(syscall.SIGXFSZ)
	r, err := Start(Options{Dir: os.Args[1], Interval: time.Nanosecond, Logger: quiet})
	must(err)
	go busy()
	time.Sleep(100 * time.Millisecond)
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8 << 10, Max: 8 << 10}))
	_, err = r.Snapshot(r.ctx, "full")
	fmt.Printf("%q\n", fmt.Sprint(err))
	must(r.Close())
}

// child starts this binary as another process.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *logged
}

func startChild(t *testing.T, name, dir string, env ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(exe, dir), out: &logged{}}
	c.Env = append(append(os.Environ(), childVariable+"="+name), env...)
	c.Stdout, c.Stderr = c.out, c.out
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // if it is still there
		_ = c.Wait()
	})
	return c
}

func (c *child) expect(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the child says "+text+"; it says: "+c.out.String(), func() bool { return strings.Contains(c.out.String(), text) })
}

func (c *child) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func traces(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.trace"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A process that is killed while it writes leaves whole files only, and the next one
// clears away what it had begun.
func TestKilledWhileWriting(t *testing.T) {
	times := 20
	if testing.Short() {
		times = 8
	}
	dir := t.TempDir()
	begun, kept := 0, 0
	for range times {
		c := startChild(t, "write", dir)
		c.expect(t, "ready")
		time.Sleep(rand.N(60 * time.Millisecond))
		c.signal(t, syscall.SIGKILL)
		_ = c.Wait()
		for _, path := range traces(t, dir) {
			whole(t, path)
			kept++
		}
		if n := len(traces(t, dir)); n > 4 { // killed before the oldest went
			t.Errorf("%d snapshots, 3 are to be kept", n)
		}
		left := names(t, filepath.Join(dir, hidden))
		if len(left) > 1 {
			t.Errorf("unfinished: %v; only the last process can have left something", left)
		}
		begun += len(left)
	}
	newStore(t, dir, 3, 1<<30)
	if left := names(t, filepath.Join(dir, hidden)); len(left) != 0 {
		t.Errorf("still there at the next start: %v", left)
	}
	t.Logf("killed %d times, %d times while it was writing; %d files looked at", times, begun, kept)
	if begun == 0 || kept == 0 {
		t.Errorf("never killed while it wrote (%d), or nothing written (%d): the test proves nothing", begun, kept)
	}
}

func TestSignals(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "signals", dir)
	c.expect(t, "ready")
	c.signal(t, syscall.SIGUSR1)
	eventually(t, "there is a snapshot", func() bool { return len(traces(t, dir)) == 1 })
	c.signal(t, syscall.SIGQUIT) // and then it ends as it would have
	err := c.Wait()
	if c.ProcessState.ExitCode() != 2 || !strings.Contains(c.out.String(), "SIGQUIT: quit") {
		t.Errorf("after SIGQUIT: %v\n%s", err, c.out)
	}
	list := traces(t, dir)
	if len(list) != 2 {
		t.Fatalf("%d snapshots for two signals", len(list))
	}
	for _, path := range list {
		whole(t, path)
		if !strings.HasSuffix(path, "-signal.trace") {
			t.Error(path)
		}
	}
}

// Where the program catches SIGQUIT itself it gets it, and lives on.
func TestQuitIsCaughtByOthers(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "catches", dir)
	c.expect(t, "ready")
	c.signal(t, syscall.SIGQUIT)
	eventually(t, "there is a snapshot", func() bool { return len(traces(t, dir)) == 1 })
	c.expect(t, "caught\ncaught\n") // at once, and when it was sent again
	_ = c.in.Close()
	c.expect(t, "closed")
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "full", dir)
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, c.out)
	}
	if want := dir + ": cannot keep the snapshot for call: file too large"; !strings.Contains(c.out.String(), want) || strings.Contains(c.out.String(), `\n`) {
		t.Errorf("%s; want %s", c.out, want)
	}
	if all := names(t, dir); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
}

// What tracedoc record relies on.
func TestDriven(t *testing.T) {
	dir, configured := t.TempDir(), t.TempDir()
	c := startChild(t, "driven", configured, dirVariable+"="+dir, signalVariable+"=SIGUSR1", windowVariable+"=2s")
	started := filepath.Join(dir, fmt.Sprintf("child-%d.started.json", c.Process.Pid))
	eventually(t, "it says that it listens", func() bool { _, err := os.Stat(started); return err == nil })
	data, err := os.ReadFile(started)
	if want := fmt.Sprintf(`{"pid":%d,"schema":"tracedoc/flight/v1","signal":"SIGUSR1","window_ns":2000000000}`+"\n", c.Process.Pid); err != nil || string(data) != want {
		t.Errorf("%s: %s, want %s", started, data, want)
	}
	for n := 1; n <= 2; n++ { // no matter how soon
		c.signal(t, syscall.SIGUSR1)
		eventually(t, "there is a snapshot", func() bool { return len(traces(t, dir)) == n })
	}
	_ = c.in.Close()
	c.expect(t, "closed")
	list := traces(t, dir)
	if len(list) != 3 || !strings.HasSuffix(list[2], "-exit.trace") {
		t.Errorf("at the end: %v", list)
	}
	for _, path := range list {
		whole(t, path)
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("it still says that it listens")
	}
	if all := names(t, configured); len(all) != 0 {
		t.Errorf("in the folder of the options: %v", all)
	}
}

func TestDrivenWrongly(t *testing.T) {
	for _, env := range []map[string]string{
		{dirVariable: t.TempDir(), windowVariable: "long"},
		{dirVariable: t.TempDir(), windowVariable: "-1s"},
		{dirVariable: t.TempDir(), signalVariable: "SIGNAL"},
	} {
		if err := drivenBy(func(name string) string { return env[name] }).apply(&Options{}); err == nil || !strings.Contains(err.Error(), "TRACEDOC_FLIGHT_") {
			t.Errorf("%v: %v", env, err)
		}
	}
	if d := drivenBy(func(string) string { return "" }); d != nil {
		t.Error("driven by nobody")
	}
}
