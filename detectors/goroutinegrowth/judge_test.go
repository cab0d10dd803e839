package goroutinegrowth

import (
	"bytes"
	"context"
	"runtime/trace"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/births"
	"github.com/tracedoc/tracedoc/traceload"
)

// TestCreated: the stack that starts a goroutine shows whether an errgroup does,
// by a name that is not tracedoc's to choose.
func TestCreated(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	var buf bytes.Buffer
	if err := trace.Start(&buf); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error { return nil })
	err := g.Wait()
	done := make(chan bool)
	go func() { done <- true }()
	<-done
	trace.Stop()
	if err != nil {
		t.Fatal(err)
	}
	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: &buf})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	group, plain := 0, 0
	_, _, err = traceload.Walk(in, func(p *traceload.Program, ev *traceload.Event) {
		if ev.Kind != traceload.KindCreate || ev.G.System {
			return
		}
		if created(p, &births.Site{Created: ev.ByStack}, errgroupGo) {
			group++
		} else {
			plain++
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if group != 1 || plain == 0 {
		t.Errorf("%d goroutines were started by an errgroup and %d otherwise, want 1 and at least 1", group, plain)
	}
}
