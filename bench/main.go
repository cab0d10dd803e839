//go:build unix

// Command bench compares what it costs to read a trace: by tracedoc, by a bare
// loop over golang.org/x/exp/trace, and by go tool trace.
//
//	go run ./bench                        # makes a trace of 42 MB
//	go run ./bench -size 42MB,424MB       # does memory grow with the trace?
//	go run ./bench -size most-alive:42MB  # of another load, see fixtures/load
//	go run ./bench -all                   # all that README tells of, and more: most of an hour
//	go run ./bench -trace FILE
//
// Each reading is a process of its own, so that its peak memory can be told.
// They take turns on the same file, and the table shows medians: two runs of one
// minute are comparable, those of two days may not be. Figures with a × are
// ratios to the bare loop. -procs says how many processors each has; --jobs 1 and 2
// are tracedoc with fewer.
//
// Run it from anywhere in the module.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/exp/trace"

	"github.com/tracedoc/tracedoc/traceload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	sizes, rate, trace string
	all                bool
	runs, procs        int
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 2 && strings.HasPrefix(args[0], "-read=") {
		return read(ctx, strings.TrimPrefix(args[0], "-read="), args[1])
	}
	var opt options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&opt.sizes, "size", "42MB", "`sizes` of the traces to make, separated by commas, each perhaps behind a load's name and a colon")
	flags.BoolVar(&opt.all, "all", false, "make them of "+allSizes)
	flags.StringVar(&opt.rate, "rate", "", "highest growth of the traces in a second (default as fast as it goes)")
	flags.StringVar(&opt.trace, "trace", "", "unpacked trace `FILE` to read instead")
	flags.IntVar(&opt.runs, "n", 5, "`times` that each reads the trace")
	flags.IntVar(&opt.procs, "procs", runtime.NumCPU(), "GOMAXPROCS of each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if opt.runs < 1 || opt.procs < 1 || flags.NArg() > 0 {
		return errors.New("usage: bench [-all | -size 42MB[,KIND:424MB]] [-rate 15MB] [-trace FILE] [-n 5] [-procs 2]")
	}

	temp, err := os.MkdirTemp("", "tracedoc-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	contenders, err := prepare(ctx, temp, opt.procs, stderr)
	if err != nil {
		return err
	}
	if opt.trace != "" {
		_, err := compare(ctx, contenders, opt.trace, opt, stdout, stderr)
		return err
	}

	if opt.all {
		opt.sizes = allSizes
	}
	var results [][]cost
	sizes := strings.Split(opt.sizes, ",")
	for _, load := range sizes {
		kind, size, ok := strings.Cut(load, ":")
		if !ok {
			kind, size = "mixed", load
		}
		file := filepath.Join(temp, "bench.trace")
		fmt.Fprintf(stderr, "tracing the load %s until the trace has %s\n", kind, size)
		if _, err := output(ctx, "go", "run", loadPackage, "-o", file, "-size", size, "-kind", kind, "-rate", opt.rate); err != nil {
			return err
		}
		costs, err := compare(ctx, contenders, file, opt, stdout, stderr)
		if err != nil {
			return err
		}
		results = append(results, costs)
	}
	for i := 1; i < len(sizes); i++ {
		fmt.Fprintf(stdout, "\npeak memory for %s, beside that for %s:\n", sizes[i], sizes[0])
		for j, c := range contenders {
			if results[i][j].memory > 0 {
				fmt.Fprintf(stdout, "%26s  %.2f ×\n", c.name, ratio(results[i][j].memory, results[0][j].memory))
			}
		}
	}
	return nil
}

const (
	module      = "github.com/tracedoc/tracedoc"
	loadPackage = module + "/fixtures/load"
	toolPackage = module + "/cmd/tracedoc"
)

// allSizes are the traces that the project's own figures are of: three lengths of a
// service, a million short goroutines, and 200,000 alive at a time.
const allSizes = "42MB,424MB,1500MB,short-goroutines:42MB,most-alive:42MB"

// contender is one way to read a trace.
type contender struct {
	name    string
	command func(file string) []string
	limit   int64 // length in bytes of the longest trace that it is to read; 0 for any
}

// gotraceLimit is where go tool trace is left out: it takes 50 to 80 times the
// length of the trace in memory.
const gotraceLimit = 100e6

// prepare builds what will be measured. The bare loop is the first.
func prepare(ctx context.Context, temp string, procs int, stderr io.Writer) ([]contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	contenders := []contender{
		{name: "x/exp/trace, bare loop", command: func(file string) []string { return []string{self, "-read=bare", file} }},
		{name: "traceload, no detectors", command: func(file string) []string { return []string{self, "-read=load", file} }},
	}
	tool := filepath.Join(temp, "tracedoc")
	if _, err := output(ctx, "go", "build", "-o", tool, toolPackage); err != nil {
		fmt.Fprintf(stderr, "left out: tracedoc analyze: %v\n", err)
	} else {
		report := filepath.Join(temp, "report.json")
		for _, jobs := range []int{1, 2, 0} {
			if jobs == 2 && procs <= 2 { // which is all
				continue
			}
			name := "tracedoc analyze"
			if jobs > 0 {
				name += fmt.Sprintf(" --jobs %d", jobs)
			}
			contenders = append(contenders, contender{name: name, command: func(file string) []string {
				return []string{tool, "analyze", "-f", "json", "-o", report, "--jobs", strconv.Itoa(jobs), file}
			}})
		}
	}
	// The tool itself, not the go command that starts it.
	if gotrace, err := output(ctx, "go", "tool", "-n", "trace"); err != nil {
		fmt.Fprintf(stderr, "left out: go tool trace: %v\n", err)
	} else {
		contenders = append(contenders, contender{name: "go tool trace -pprof=sync", limit: gotraceLimit, command: func(file string) []string {
			return []string{gotrace, "-pprof=sync", file}
		}})
	}
	return contenders, nil
}

// output runs a command and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// cost is what one reading took.
type cost struct {
	wall, cpu time.Duration
	memory    int64 // the largest resident set, in bytes
}

// compare lets the contenders read the file in turn, prints the table and
// returns the medians in the contenders' order, zero for those left out.
func compare(ctx context.Context, contenders []contender, file string, opt options, stdout, stderr io.Writer) ([]cost, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	runs := make([][]cost, len(contenders))
	for i := range opt.runs {
		for j, c := range contenders {
			if c.limit > 0 && info.Size() > c.limit {
				continue
			}
			fmt.Fprintf(stderr, "run %d of %d: %s\n", i+1, opt.runs, c.name)
			spent, err := measure(ctx, c.command(file), opt.procs)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			runs[j] = append(runs[j], spent)
		}
	}

	medians := make([]cost, len(contenders))
	for j, r := range runs {
		if len(r) == 0 {
			continue
		}
		medians[j] = cost{
			wall:   median(r, func(c cost) time.Duration { return c.wall }),
			cpu:    median(r, func(c cost) time.Duration { return c.cpu }),
			memory: median(r, func(c cost) int64 { return c.memory }),
		}
	}
	fmt.Fprintf(stdout, "\n%.1f MB, median of %d runs, GOMAXPROCS=%d, %s %s/%s\n\n",
		float64(info.Size())/1e6, opt.runs, opt.procs, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twall\t×\tCPU\t×\tpeak memory\t×\t")
	bare := medians[0]
	for j, c := range contenders {
		m := medians[j]
		if m == (cost{}) {
			fmt.Fprintf(w, "%s\tleft out\t\t\t\t\t\t\n", c.name)
			continue
		}
		fmt.Fprintf(w, "%s\t%.2f s\t%.2f\t%.2f s\t%.2f\t%.0f MB\t%.2f\t\n", c.name,
			m.wall.Seconds(), ratio(m.wall, bare.wall), m.cpu.Seconds(), ratio(m.cpu, bare.cpu),
			float64(m.memory)/1e6, ratio(m.memory, bare.memory))
	}
	return medians, w.Flush()
}

// measure runs a command to its end.
func measure(ctx context.Context, command []string, procs int) (cost, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", procs))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	c := cost{wall: time.Since(begin), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = int64(usage.Maxrss)
		if runtime.GOOS != "darwin" && runtime.GOOS != "ios" { // which give bytes
			c.memory *= 1024
		}
	}
	return c, nil
}

func median[T cmp.Ordered](costs []cost, of func(cost) T) T {
	values := make([]T, len(costs))
	for i, c := range costs {
		values[i] = of(c)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func ratio[T ~int64](a, b T) float64 { return float64(a) / float64(max(b, 1)) }

// read is what the child processes do.
func read(ctx context.Context, how, file string) error {
	switch how {
	case "bare":
		return readBare(file)
	case "load":
		in, err := traceload.Open(ctx, file, traceload.OpenOptions{})
		if err != nil {
			return err
		}
		defer in.Close()
		_, _, err = traceload.Walk(in, func(*traceload.Program, *traceload.Event) {}, nil)
		return err
	}
	return fmt.Errorf("-read=%s: unknown", how)
}

// readBare reads each event and does nothing with it.
func readBare(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := trace.NewReader(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return err
	}
	for {
		_, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
