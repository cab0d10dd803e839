package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/traceload"
)

// resources are the flags that say what an analysis may take, and whether it is
// to tell what it took. What is found does not depend on them.
type resources struct {
	jobs   uint
	memory byteSize
	stats  bool
}

func (r *resources) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.UintVar(&r.jobs, "jobs", 0, "do at most `N` things at a time; 0 for as many as there are processors")
	flags.Var(&r.memory, "memory", "use about this much memory, such as 500MB or 2GiB (default a quarter of the machine's, at most 512MB)")
	flags.BoolVar(&r.stats, "stats", false, "tell on standard error where time and memory went")
}

const (
	// roomyMemory is what suffices for a trace of any length: some generations of
	// a busy program, and the tables of 200,000 goroutines.
	roomyMemory = 512 << 20
	// traceShare is the part of the memory that pieces of the trace may take; the
	// others are for what is worked out from it, and for the garbage collector.
	traceShare = 3
	// gcPercent is half of what is usual: an analysis keeps most of what it
	// allocates, so collecting more often takes little and saves memory.
	gcPercent = 50
	// smallHeap is a heap that is not worth collecting: what is collected from one that is
	// still being made is little, and was a tenth to a quarter of what a small trace takes.
	smallHeap = 48 << 20
)

// limits puts the flags into effect and returns what they mean for an analysis.
func (r *resources) limits() traceload.Limits {
	memory := int64(r.memory)
	if memory == 0 {
		memory = min(roomyMemory, machineMemory()/4)
	}
	// A soft limit: the collector works harder rather than fail. One that the
	// user set in the environment stands.
	if os.Getenv("GOMEMLIMIT") == "" || r.memory != 0 {
		debug.SetMemoryLimit(memory)
	}
	if os.Getenv("GOGC") == "" {
		collectLater()
	}
	if r.jobs > 0 {
		runtime.GOMAXPROCS(min(int(r.jobs), runtime.NumCPU()))
	}
	return traceload.Limits{Jobs: int(min(r.jobs, 1024)), Memory: memory / traceShare}
}

// collectLater has the collector begin at smallHeap and go on with gcPercent, once in
// a process. A limit of memory holds all the same.
var collectLater = sync.OnceFunc(func() {
	const usual = 4 << 20 // where it begins at 100 percent
	debug.SetGCPercent(100 * smallHeap / usual)
	afterCollection(letGrow)
})

// letGrow sets when the next collection comes, and whether that is to do so too.
func letGrow() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := percentAfter(live[0].Value.Uint64())
	debug.SetGCPercent(percent)
	if percent > gcPercent {
		afterCollection(letGrow)
	}
}

// percentAfter is by how much the heap may grow after a collection that found so many bytes
// alive: by gcPercent, and to smallHeap at least.
func percentAfter(live uint64) int {
	live = max(live, 1<<20)
	return max(gcPercent, int(100*smallHeap/live)-100)
}

// afterCollection calls f after the next collection: what nothing refers to is cleaned up
// when that has found it.
func afterCollection(f func()) {
	runtime.AddCleanup(new([64]byte), func(f func()) { f() }, f)
}

// machineMemory is how many bytes of memory the machine, or the container, has; a
// large number where that cannot be told.
func machineMemory() int64 {
	most := int64(math.MaxInt64)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				if kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
					most = min(most, kilobytes<<10)
				}
			}
		}
	}
	for _, file := range cgroupFiles() {
		if text, err := os.ReadFile(file); err == nil {
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil && n > 0 { // "max" if there is no limit
				most = min(most, n)
			}
		}
	}
	return most
}

// cgroupFiles are the files in which Linux tells a container its limit.
func cgroupFiles() []string {
	files := []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}
	if text, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		for line := range strings.Lines(string(text)) {
			if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok && own != "" {
				files = append(files, path.Join("/sys/fs/cgroup", own, "memory.max"))
			}
		}
	}
	return files
}

// byteSize is a number of bytes as a flag; 0 means that none was given.
type byteSize int64

var byteUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1},
}

func (b *byteSize) Type() string { return "size" }
func (b *byteSize) String() string {
	if *b == 0 {
		return "" // cobra then shows no default; the help text says it
	}
	return strconv.FormatInt(int64(*b), 10) + "B"
}

func (b *byteSize) Set(text string) error {
	number, unit := text, 1.0
	for _, u := range byteUnits {
		if n := len(text) - len(u.suffix); n > 0 && strings.EqualFold(text[n:], u.suffix) {
			number, unit = text[:n], u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n > 0) || n*unit > 1<<50 {
		return errors.New("must be a size such as 500MB or 2GiB")
	}
	if n*unit < leastMemory {
		return fmt.Errorf("must be %d MB at least", leastMemory/1_000_000)
	}
	*b = byteSize(n * unit)
	return nil
}

// leastMemory is below what the tool itself and the standard library's tables need.
const leastMemory = 16_000_000

// statsFor returns what an analysis is to fill, nil if nobody wants to know.
func (r *resources) statsFor() *detectors.Stats {
	if !r.stats {
		return nil
	}
	return new(detectors.Stats)
}

// printStats tells what the analysis of a trace took.
func printStats(w io.Writer, trace string, s *detectors.Stats) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
	fmt.Fprintf(w, "%s: %d events, read and watched in %s, judged in %s\n", render.Printable(trace), s.Events, ms(s.Walking), ms(s.Judging))
	row := func(name string, d time.Duration, rest ...string) {
		perEvent := ""
		if s.Events > 0 {
			perEvent = fmt.Sprintf("%.1f ns an event", float64(d)/float64(s.Events))
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-28s %12s  %18s  %s", name, ms(d), perEvent, strings.Join(rest, ", ")), " "))
	}
	if s.Walk.Decode > 0 {
		row("reading, unpacking", s.Walk.Read)
		row("decoding", s.Walk.Decode, "of some generations at a time")
		row("ids for the whole trace", s.Walk.Translate)
	}
	for i, d := range s.Walk.Lanes {
		row(fmt.Sprintf("lane %d of observers", i+1), d)
		for _, o := range s.Observers {
			if o.Lane != i {
				continue
			}
			what := "judged in " + ms(o.Judging)
			if o.Fact {
				what += ", a fact for several"
			}
			row("  "+o.Name, o.Observing, what)
		}
	}
	if s.Walk.Held > 0 {
		fmt.Fprintf(w, "  %.1f MB of the unpacked trace in memory at most\n", float64(s.Walk.Held)/1e6)
	}
}

// printTotals tells what the whole command took so far.
func (t *tool) printTotals() {
	w := t.stderr
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	fmt.Fprintf(w, "all in all: %.1f ms on the clock", float64(time.Since(t.began))/1e6)
	if cpu, peak := usage(); peak > 0 {
		fmt.Fprintf(w, ", %.1f ms of processors, peak memory %.1f MB", float64(cpu)/1e6, float64(peak)/1e6)
	}
	fmt.Fprintf(w, "\ngarbage collector: %d cycles, %.1f ms of processors; %.1f MB allocated, %.1f MB alive, %.1f MB taken from the system; GOMAXPROCS %d\n",
		samples[2].Value.Uint64(), 1e3*samples[3].Value.Float64(), float64(samples[4].Value.Uint64())/1e6,
		float64(samples[1].Value.Uint64())/1e6, float64(samples[0].Value.Uint64())/1e6, runtime.GOMAXPROCS(0))
}
