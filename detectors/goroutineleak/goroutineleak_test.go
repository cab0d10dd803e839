package goroutineleak_test

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/trace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/goroutineleak"
	"github.com/tracedoc/tracedoc/detectors/internal/detectortest"
)

func TestFixtures(t *testing.T) { detectortest.Run(t, goroutineleak.Detector) }

// TestNeverRan: goroutines that stand in line for a processor are told, and are no
// leak. How many of them get one is up to the machine, so there are three tries.
func TestNeverRan(t *testing.T) {
	var sites []detectors.IdleSite
	for range 3 {
		sites = neverRan(t)
		for _, s := range sites {
			if strings.HasPrefix(s.Why, "created and never run") && s.Goroutines >= 5 && strings.HasSuffix(s.Site.Func, "neverRan") {
				return
			}
		}
	}
	t.Errorf("not told: %+v", sites)
}

func neverRan(t *testing.T) []detectors.IdleSite {
	name := filepath.Join(t.TempDir(), "trace")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	if err := trace.Start(f); err != nil {
		t.Skip(err) // a trace of the tests themselves is going on
	}
	var over atomic.Bool
	for range 120 { // of which each has a processor for 10 ms at a time
		go func() {
			for !over.Load() {
			}
		}()
	}
	time.Sleep(300 * time.Millisecond)
	trace.Stop()
	over.Store(true)
	f.Close()

	return detectortest.Analyze(t, name, nil, goroutineleak.Detector).Traces[0].Idle.Sites
}
