package traceload

import (
	"fmt"
	"strings"
	"testing"
)

func TestKnownStrings(t *testing.T) {
	in := newInterner()
	for id, s := range knownStrings {
		if got := in.string(s); got != StringID(id) {
			t.Errorf("%q has the id %d, want %d", s, got, id)
		}
	}
}

// TestUserText checks that texts of the traced program, which may all differ,
// do not fill memory.
func TestUserText(t *testing.T) {
	in := newInterner()
	long := in.userText(strings.Repeat("x", 10*userTextLen))
	if n := len(in.strings[long]); n != userTextLen {
		t.Errorf("%d bytes kept of a long text, want %d", n, userTextLen)
	}
	first := in.userText("request 0")
	if first == textNone || in.userText("request 0") != first {
		t.Errorf("one text has the ids %d and %d", first, in.userText("request 0"))
	}
	for i := range 2 * userTextCount {
		in.userText(fmt.Sprint("request ", i))
	}
	if n := len(in.strings) - len(knownStrings); n != userTextCount {
		t.Errorf("%d texts kept, want %d", n, userTextCount)
	}
	if in.userText("request 0") != first {
		t.Error("an early text lost its id")
	}
	if in.userText("one more") != textNone {
		t.Error("a text beyond the limit has an id")
	}
	if in.string("chan receive") == textNone || in.string("a name of the runtime's") == textNone {
		t.Error("the runtime's words have no ids any more")
	}
}

func TestFrames(t *testing.T) {
	in := newInterner()
	a := in.frame(in.string("main.f"), in.string("/src/main.go"), 1)
	for _, other := range []FrameID{in.frame(in.string("main.g"), in.string("/src/main.go"), 1), in.frame(in.string("main.f"), in.string("/src/other.go"), 1), in.frame(in.string("main.f"), in.string("/src/main.go"), 2)} {
		if other == a || other == 0 {
			t.Errorf("different frames have the ids %d and %d", a, other)
		}
	}
	if b := in.frame(in.string("main.f"), in.string("/src/main.go"), 1); b != a {
		t.Errorf("one frame has the ids %d and %d", a, b)
	}
	f, g := in.frames[in.frame(in.string("main.f"), in.string("/src/main.go"), 2)], in.frames[in.frame(in.string("main.g"), in.string("/src/main.go"), 1)]
	if f.FuncID != in.frames[a].FuncID || f.FuncID == g.FuncID {
		t.Errorf("functions have the ids %d, %d and %d", in.frames[a].FuncID, f.FuncID, g.FuncID)
	}
}

func TestPackagePath(t *testing.T) {
	for fn, want := range map[string]string{
		"main.main":                                "main",
		"main.(*Store).put":                        "main",
		"net/http.(*conn).serve":                   "net/http",
		"example.com/a.b/pkg.F":                    "example.com/a.b/pkg",
		"gopkg.in/yaml%2ev3.Unmarshal":             "gopkg.in/yaml%2ev3",
		"example.com/x.Map[go.shape.int]":          "example.com/x",
		"main.Map[example.com/y/z.T]":              "main",
		"main.run.func1.gowrap2":                   "main",
		"golang.org/x/sync/errgroup.(*Group).Go":   "golang.org/x/sync/errgroup",
		"type:.eq.main.T":                          "type:",
		"_cgoexp_123":                              "",
		"":                                         "",
		"vendor/golang.org/x/net/http2/hpack.Read": "vendor/golang.org/x/net/http2/hpack",
	} {
		if got := PackagePath(fn); got != want {
			t.Errorf("PackagePath(%q) = %q, want %q", fn, got, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	for fn, want := range map[string]Origin{
		"main.main":                     OriginUser,
		"example.com/runtime.F":         OriginUser,
		"golang.org/x/sync/errgroup.Do": OriginRuntime,
		"golang.org/x/synced.Do":        OriginUser,
		"runtime.gopark":                OriginRuntime,
		"sync.(*Mutex).Lock":            OriginRuntime,
		"internal/sync.(*Mutex).Lock":   OriginRuntime,
		"internal/runtime/maps.Grow":    OriginRuntime,
		"time.Sleep":                    OriginRuntime,
		"time.NewTimer":                 OriginStd,
		"internal/poll.(*FD).Read":      OriginStd,
		"net/http.(*conn).serve":        OriginStd,
		"runtime/trace.Start":           OriginStd,
		"vendor/golang.org/x/net/x.F":   OriginStd,
		"testing.tRunner":               OriginTesting,
		"testing/synctest.Test":         OriginTesting,
	} {
		if got := newFrame(1, fn, "/src/file.go", 1).Origin; got != want {
			t.Errorf("%s is of origin %d, want %d", fn, got, want)
		}
	}
	if got := newFrame(1, "net/http.TestServer", "net/http/serve_test.go", 1).Origin; got != OriginUser {
		t.Errorf("a test of the standard library is of origin %d, want the user's", got)
	}
}

// TestStack checks what is derived from a stack alone.
func TestStack(t *testing.T) {
	in := newInterner()
	stack := func(functions ...string) *Stack {
		var frames []FrameID
		for i, fn := range functions {
			file := "/src/file.go"
			if strings.HasPrefix(fn, "main.Test") {
				file = "/src/file_test.go"
			}
			frames = append(frames, in.frame(in.string(fn), in.string(file), i+1))
		}
		return in.stacks[in.stack(frames)]
	}
	tests := []struct {
		name      string
		functions []string
		first     string // after the parking frames are cut off
		site      string
		owner     string
		reason    StringID
		wait      Wait
		system    bool
		testing   bool
	}{
		{"mutex inside the standard library",
			[]string{"runtime.gopark", "runtime.goparkunlock", "runtime.semacquire1", "internal/sync.runtime_SemacquireMutex", "internal/sync.(*Mutex).lockSlow",
				"internal/sync.(*Mutex).Lock", "sync.(*Mutex).Lock", "net/http.(*Transport).getConn", "main.fetch", "main.main", "runtime.main"},
			"sync.(*Mutex).Lock", "main.fetch", "net/http.(*Transport).getConn", textSync, WaitMutex, false, false},
		{"sync.Map's mutex",
			[]string{"internal/sync.(*Mutex).Lock", "internal/sync.(*HashTrieMap[...]).Load", "main.get", "runtime.main"},
			"internal/sync.(*HashTrieMap[...]).Load", "main.get", "main.get", textSync, WaitSemaphore, false, false},
		{"a test's sleep",
			[]string{"runtime.gopark", "time.Sleep", "main.TestSlow", "testing.tRunner"},
			"time.Sleep", "main.TestSlow", "main.TestSlow", textSleep, WaitSleep, false, true},
		{"a test that waits for its subtests",
			[]string{"runtime.gopark", "runtime.chanrecv", "runtime.chanrecv1", "testing.(*T).Run", "testing.tRunner"},
			"runtime.chanrecv1", "", "testing.(*T).Run", textChanReceive, WaitChanReceive, false, true},
		{"keep-alive connection",
			[]string{"runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait", "internal/poll.(*pollDesc).wait", "internal/poll.(*FD).Read",
				"net.(*netFD).Read", "net.(*conn).Read", "net/http.(*connReader).backgroundRead"},
			"internal/poll.(*FD).Read", "net.(*netFD).Read", "internal/poll.(*FD).Read", textNetwork, WaitNetwork, false, false},
		{"collector under the user's code",
			[]string{"runtime.gopark", "runtime.semacquire1", "runtime.semacquire", "runtime.gcStart", "runtime.mallocgc", "runtime.makeslice", "main.grow", "runtime.main"},
			"runtime.gcStart", "main.grow", "main.grow", textSync, WaitRuntime, false, false},
		{"the runtime's worker",
			[]string{"runtime.gopark", "runtime.gcBgMarkWorker"},
			"runtime.gcBgMarkWorker", "", "", textNone, WaitRuntime, true, false},
		{"signal handler's loop",
			[]string{"os/signal.signal_recv", "os/signal.loop"},
			"os/signal.signal_recv", "os/signal.signal_recv", "os/signal.signal_recv", textNone, WaitRuntime, true, false},
		{"select by reflection",
			[]string{"runtime.gopark", "runtime.selectgo", "reflect.rselect", "reflect.Select", "main.any", "runtime.goexit"},
			"runtime.selectgo", "main.any", "reflect.Select", textSelect, WaitSelect, false, false},
		{"iterator",
			[]string{"runtime.chanrecv1", "main.produce", "iter.Pull[...].func1", "runtime.corostart"},
			"runtime.chanrecv1", "main.produce", "main.produce", textChanReceive, WaitChanReceive, false, false},
		{"parking frames alone",
			[]string{"runtime.gopark"},
			"runtime.gopark", "", "", textNone, WaitRuntime, true, false},
	}
	name := func(s *Stack, i int) string {
		if i < 0 {
			return ""
		}
		return in.frames[s.Frames[i]].Func
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := stack(test.functions...)
			if got := name(s, 0); got != test.first {
				t.Errorf("begins with %s, want %s", got, test.first)
			}
			if got := name(s, s.Site); got != test.site {
				t.Errorf("site is %q, want %q", got, test.site)
			}
			if got := name(s, s.Owner); got != test.owner {
				t.Errorf("owner is %q, want %q", got, test.owner)
			}
			if s.Derived != test.reason {
				t.Errorf("reason is %q, want %q", in.strings[s.Derived], in.strings[test.reason])
			}
			if got := s.wait(s.Derived); got != test.wait {
				t.Errorf("waits for %v, want %v", got, test.wait)
			}
			if s.System != test.system || s.Testing != test.testing {
				t.Errorf("system %v, testing %v; want %v, %v", s.System, s.Testing, test.system, test.testing)
			}
		})
	}
	if in.stacks[0].Site != -1 || in.stacks[0].Owner != -1 || in.stack(nil) != 0 {
		t.Errorf("no stack is %+v, with id %d", in.stacks[0], in.stack(nil))
	}
}

func TestWords(t *testing.T) {
	seen := map[string]bool{}
	for w := range NumWaits {
		if s := w.String(); s == "" || seen[s] {
			t.Errorf("wait %d is %q, as another or empty", w, s)
		} else {
			seen[s] = true
		}
	}
	for s := range StateWaiting + 1 {
		if w := s.String(); w == "" || seen[w] {
			t.Errorf("state %d is %q, as another or empty", s, w)
		} else {
			seen[w] = true
		}
	}
	kinds := KindSet(KindBlock, KindSample)
	for k := range NumKinds {
		if kinds.Has(k) != (k == KindBlock || k == KindSample) {
			t.Errorf("kind %d in the set: %v", k, kinds.Has(k))
		}
	}
	if NumKinds > 32 {
		t.Errorf("%d kinds do not fit into a Kinds", NumKinds)
	}
}

func TestOwn(t *testing.T) {
	tests := []struct {
		fn, file string
		want     bool
	}{
		{"main.main", "/src/app/main.go", true},
		{"example.com/app/cache.(*Cache).Get", "example.com/app/cache/cache.go", true}, // -trimpath
		{"github.com/nats-io/nats%2ego.(*Conn).Request", "/root/go/pkg/mod/github.com/nats-io/nats.go@v1.55.0/nats.go", false},
		{"github.com/nats-io/nats%2ego.(*Conn).Request", "github.com/nats-io/nats.go@v1.55.0/nats.go", false},
		{"golang.org/x/net/http2.(*Framer).Read", `C:\go\pkg\mod\golang.org\x\net@v0.0.0-20260101000000-abcdef012345\http2\frame.go`, false},
		{"example.com/lib.F", "/src/app/vendor/example.com/lib/lib.go", false},
		{"net/http.(*conn).serve", "net/http/server.go", false},
		{"main.user@vision", "/home/a@vision/main.go", true},
		{"main.f", "", false},
	}
	for _, tt := range tests {
		if f := NewFrame(tt.fn, tt.file, 1); f.Own() != tt.want {
			t.Errorf("%s in %s: own %v, want %v", tt.fn, tt.file, f.Own(), tt.want)
		}
	}
}

// TestTranslatorFrames: a frame has one id, however many others there are in a generation,
// and whichever numbers its strings have there.
func TestTranslatorFrames(t *testing.T) {
	tr := newTranslator()
	generation := func(names ...string) *generation {
		g := &generation{tables: [][]byte{{0}}, strings: make([]extent, 1)} // nothing begins at 0
		for _, name := range names {
			from := uint32(len(g.tables[0]))
			g.tables[0] = append(g.tables[0], name...)
			g.strings = append(g.strings, extent{0, from, uint32(len(g.tables[0]))})
		}
		return g
	}
	const lines = 3 << metBits
	tr.begin(generation("main.f", "main.go", "main.g"))
	ids := map[FrameID]uint64{}
	for line := range uint64(lines) {
		ids[tr.frame(1, 2, line)] = line
	}
	if len(ids) != lines {
		t.Fatalf("%d frames have %d ids", lines, len(ids))
	}
	other := tr.frame(3, 2, 7)
	tr.begin(generation("main.go", "main.g", "main.f"))
	for line := range uint64(lines) {
		id := tr.frame(3, 1, line)
		if known, ok := ids[id]; !ok || known != line {
			t.Fatalf("line %d has id %d in the next generation, that of line %d, %v", line, id, known, ok)
		}
		if f := tr.in.frames[id]; f.Func != "main.f" || f.File != "main.go" || f.Line != int(line) {
			t.Fatalf("line %d is %+v", line, f)
		}
	}
	if again := tr.frame(2, 1, 7); again != other || ids[other] != 0 {
		t.Errorf("main.g has id %d, then %d", other, again)
	}
	if f := tr.in.frames[tr.frame(99, 0, 1)]; f.Func != "" || f.File != "" {
		t.Errorf("a frame whose names are missing is %+v", f)
	}
}
