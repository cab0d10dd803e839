package detectortest

import (
	"bytes"
	"context"
	"runtime/trace"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Roll returns a roll of n goroutines.
func Roll(n int) (r detectors.Roll) {
	for id := range n {
		r.Note(traceload.GoID(id + 1))
	}
	return r
}

// Judge calls finish at the end of an analysis, with a program that has done
// nothing to speak of, and returns what it reports. It is for tests that hand
// made-up observations to a room's judge: that needs a Pass to report to and a
// Program whose frames and stacks can be looked up. The trace is of this very
// process, taken now; src may be nil. Kept is what the room keeps for each goroutine.
func Judge(t *testing.T, d *detectors.Detector, src detectors.Source, finish func(*detectors.Pass, *traceload.Program), kept ...traceload.Kept) []detectors.Finding {
	t.Helper()
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	var buf bytes.Buffer
	if err := trace.Start(&buf); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() { done <- true }()
	<-done
	trace.Stop()
	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: &buf})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	judged := *d
	called := false
	judged.New = func(pass *detectors.Pass) detectors.Observer {
		pass.Keep(kept...)
		return finisher(func(p *traceload.Program) { finish(pass, p); called = true })
	}
	res, err := detectors.Analyze(in, []*detectors.Detector{&judged}, detectors.Config{Source: src})
	if err != nil {
		t.Fatal(err)
	}
	report := detectors.NewReport([]*detectors.Result{res}, detectors.Options{})
	if !called {
		t.Fatalf("the judge did not come to its end: %v", report.Traces[0].Warnings)
	}
	return report.Findings
}

// finisher is an observer that waits for the end.
type finisher func(*traceload.Program)

func (finisher) Observe(*traceload.Program, *traceload.Event) {}

func (f finisher) Finish(p *traceload.Program) { f(p) }

// OwnFrame returns a frame of the traced program's own code, for a judge that
// looks at no other.
func OwnFrame(t *testing.T, p *traceload.Program) (id traceload.FrameID) {
	t.Helper()
	n := traceload.FrameID(0)
	for f := range p.AllFrames {
		if n++; f.Origin == traceload.OriginUser {
			id = n
		}
	}
	if id == 0 {
		t.Fatal("the trace has no frame of the program's own")
	}
	return id
}
