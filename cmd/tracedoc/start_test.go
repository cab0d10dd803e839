package main

import (
	"io"
	"path/filepath"
	"testing"
)

// BenchmarkReport is all that `tracedoc analyze TRACE` does after its process has
// started, from the flags to the report, on traces of about 300 KB unpacked: with
// the program's source, which is opened anew each time, and without.
func BenchmarkReport(b *testing.B) {
	root := filepath.Join("..", "..")
	for _, name := range []string{"chatty-handoff-per-item", "goroutine-growth-burst-budget", "scheduler-latency-gc-assist"} {
		trace := filepath.Join(root, "fixtures", name, "defect", "go1.26.trace.zst")
		for how, source := range map[string]string{"source": root, "nosource": sourceOff} {
			b.Run(name+"/"+how, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if code := run(b.Context(), []string{"analyze", "--source", source, trace}, nil, io.Discard, io.Discard, noEnv); code != exitDone {
						b.Fatalf("exit status %d", code)
					}
				}
			})
		}
	}
}
