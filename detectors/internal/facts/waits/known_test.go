package waits

import (
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

func TestBuiltInTable(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range builtIn() {
		key := plainName(k.Func) + "|" + k.Wait
		if seen[key] {
			t.Errorf("known.txt: %s stands there twice", k.Func)
		}
		seen[key] = true
		if strings.HasSuffix(k.Why, ".") || strings.ToLower(k.Why[:1]) != k.Why[:1] {
			t.Errorf("known.txt: %s: the reason %q does not complete a sentence", k.Func, k.Why)
		}
	}
	if len(seen) < 100 {
		t.Errorf("known.txt has only %d rows", len(seen))
	}
}

func TestPlainName(t *testing.T) {
	for fn, want := range map[string]string{
		"database/sql.(*Rows).awaitDone":                                "database/sql.(*Rows).awaitDone",
		"database/sql.(*DB).beginDC.gowrap1":                            "database/sql.(*DB).beginDC",
		"context.(*cancelCtx).propagateCancel.func2":                    "context.(*cancelCtx).propagateCancel.func",
		"main.F.func2.1":                                                "main.F.func",
		"main.F.func2.gowrap1":                                          "main.F.func",
		"main.(*T).M-fm":                                                "main.(*T).M",
		"github.com/robfig/cron/v3.(*Cron).run":                         "github.com/robfig/cron.(*Cron).run",
		"github.com/nats-io/nats-server/v2/server.(*client).readLoop":   "github.com/nats-io/nats-server/server.(*client).readLoop",
		"gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun":          "gopkg.in/natefinch/lumberjack.(*Logger).millRun",
		"k8s.io/client-go/util/workqueue.(*Typed[go.shape.string]).Get": "k8s.io/client-go/util/workqueue.(*Typed).Get",
		"main.Pool[main.Job[int]].work":                                 "main.Pool.work",
	} {
		if got := plainName(fn); got != want {
			t.Errorf("plainName(%q) = %q, want %q", fn, got, want)
		}
	}
}

// frame makes a frame of a function; origin user unless std is said.
func frame(fn string, origin traceload.Origin) traceload.Frame {
	return traceload.Frame{Func: fn, Origin: origin}
}

func TestCatalog(t *testing.T) {
	const user, std, run = traceload.OriginUser, traceload.OriginStd, traceload.OriginRuntime
	c := newCatalog([]detectors.KnownWait{
		{Func: "example.com/app.(*Pool).work", Why: "waits for work"},
		{Func: "github.com/robfig/cron/v3.(*Cron).run", Why: "is ours to judge"},
	})
	tests := []struct {
		name   string
		frames []traceload.Frame // innermost first
		want   string            // the reason; "" for none
	}{
		{"a worker", []traceload.Frame{frame("runtime.chanrecv2", run), frame("example.com/app.(*Pool).work", user)}, "waits for work"},
		{"a worker in its own package", []traceload.Frame{frame("example.com/app.next", user), frame("example.com/app.(*Pool).work", user)}, "waits for work"},
		{"a worker in somebody else's code", []traceload.Frame{frame("github.com/a/b.Do", user), frame("example.com/app.(*Pool).work", user)}, ""},
		{"the user's row wins", []traceload.Frame{frame("runtime.selectgo", run), frame("github.com/robfig/cron/v3.(*Cron).run", user)}, "is ours to judge"},
		{"a server", []traceload.Frame{frame("internal/poll.(*FD).Accept", std), frame("net/http.(*Server).Serve", std), frame("main.main.func1", user)},
			"accepts connections until the server is closed"},
		{"a server's handler", []traceload.Frame{frame("runtime.chanrecv1", run), frame("main.handle", user), frame("net/http.(*Server).Serve", std)}, ""},
		{"whoever uses a pipe for its log", []traceload.Frame{frame("io.(*pipe).write", std), frame("github.com/sirupsen/logrus.(*Entry).writerScanner", user)},
			"logs what is written until the writer is closed"},
		{"nobody", []traceload.Frame{frame("main.f", user)}, ""},
	}
	for _, tt := range tests {
		got := ""
		if list := c.find(tt.frames); len(list) > 0 {
			got = list[0].Why
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
