package suite_test

import (
	"os"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/traceload"
)

// BenchmarkAnalyze reads the trace that TRACEDOC_BENCH_TRACE names with all detectors,
// on one lane. The profile by which the command is built, cmd/tracedoc/default.pgo, is
// of this:
//
//	go run ./fixtures/load -o /tmp/load.trace
//	TRACEDOC_BENCH_TRACE=/tmp/load.trace GOMAXPROCS=1 go test -run '^$' -bench BenchmarkAnalyze -benchtime 25x -cpuprofile cmd/tracedoc/default.pgo ./detectors/suite
func BenchmarkAnalyze(b *testing.B) {
	file := os.Getenv("TRACEDOC_BENCH_TRACE")
	if file == "" {
		b.Skip("TRACEDOC_BENCH_TRACE names no trace")
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		in, err := traceload.Open(b.Context(), file, traceload.OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := detectors.Analyze(in, suite.All(), detectors.Config{Limits: traceload.Limits{Jobs: 1}}); err != nil {
			b.Fatal(err)
		}
		if err := in.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
