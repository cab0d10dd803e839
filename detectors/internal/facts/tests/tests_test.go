package tests

import (
	"bytes"
	"context"
	"runtime/trace"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

func TestFunctionName(t *testing.T) {
	for fn, want := range map[string]string{
		"example.com/shop.TestCheckout":                 "TestCheckout",
		"example.com/shop.TestCheckout.func2":           "TestCheckout",
		"example.com/shop.TestCheckout.func2.1.gowrap1": "TestCheckout",
		"example.com/shop_test.BenchmarkX":              "BenchmarkX",
		"example.com/shop.FuzzParse.func1":              "FuzzParse",
		"example.com/shop.ExampleCart_add":              "ExampleCart_add",
		"example.com/shop.Test":                         "Test",
		"example.com/shop.TestMain":                     "",
		"example.com/shop.Testify":                      "",
		"example.com/shop.(*Suite).TestX":               "",
		"github.com/stretchr/testify/suite.Run.func1":   "",
		"main.main": "",
		"":          "",
	} {
		if got := FunctionName(fn); got != want {
			t.Errorf("FunctionName(%q) = %q, want %q", fn, got, want)
		}
	}
}

// parked leaves a goroutine behind that waits, started from a helper's goroutine.
func parked(stop chan struct{}) {
	ready := make(chan struct{})
	go func() {
		go helperWaits(stop, ready)
	}()
	<-ready
	time.Sleep(5 * time.Millisecond)
}

func helperWaits(stop, ready chan struct{}) {
	close(ready)
	<-stop
}

// TestLineOfBirths traces subtests, parallel ones too, that leave goroutines
// behind, and looks whose they are.
func TestLineOfBirths(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	var buf bytes.Buffer
	stop := make(chan struct{})
	if err := trace.Start(&buf); err != nil {
		t.Fatal(err)
	}
	t.Run("group", func(t *testing.T) {
		t.Run("plain", func(t *testing.T) { parked(stop) })
		for _, name := range []string{"one", "two"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				trace.Log(context.Background(), Mark, "begin "+t.Name())
				var wg sync.WaitGroup
				wg.Add(1)
				go func() { defer wg.Done(); parked(stop) }()
				wg.Wait()
				t.Run("unmarked", func(t *testing.T) { parked(stop) })
				trace.Log(context.Background(), Mark, "end "+t.Name())
			})
		}
	})
	parked(stop)
	trace.Stop()
	close(stop)

	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: &buf})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var table Table
	var prog *traceload.Program
	_, _, err = traceload.Walk(in, func(p *traceload.Program, ev *traceload.Event) {
		prog = p
		if Watches.Has(ev.Kind) {
			table.Observe(p, ev)
		}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	over := map[string]bool{}
	for g := range prog.Live {
		test := table.Of(g)
		if test == nil || !onStack(prog, g) {
			continue
		}
		names = append(names, test.Name())
		if _, ended := test.Ended(); ended {
			over[test.Name()] = true
		}
		if byID := table.ByID(prog, g.ID); byID != test {
			t.Errorf("ByID(%d) = %v, want %v", g.ID, byID, test)
		}
	}
	slices.Sort(names)
	want := []string{
		"TestLineOfBirths", "TestLineOfBirths",
		"TestLineOfBirths/group/one", "TestLineOfBirths/group/one", "TestLineOfBirths/group/two", "TestLineOfBirths/group/two",
	}
	if !slices.Equal(names, want) {
		t.Errorf("parked goroutines belong to %q, want %q", names, want)
	}
	for _, name := range want[2:] {
		if !over[name] {
			t.Errorf("%s is not known to have ended", name)
		}
	}
}

func onStack(p *traceload.Program, g *traceload.Goroutine) bool {
	return slices.ContainsFunc(p.Frames(g.Stack), func(f traceload.Frame) bool {
		return f.Func == "github.com/tracedoc/tracedoc/detectors/internal/facts/tests.helperWaits"
	})
}
