//go:build unix

// Command bench measures what package flight costs a service: the latency of
// requests, processor time and memory of flight/example, without it and with it.
//
//	go run ./flight/bench
//	go run ./flight/bench -rate 4000 -for 10s -n 5
//
// The service is a process of its own on the loopback interface, under a load of so
// many requests a second, however long the answers take: the latency of a request
// counts from when it should have been sent. The ways to run it take turns, and the
// table shows medians. Load and service share the machine, so compare rows of one
// table only.
//
// Run it from anywhere in the module.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
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
	rate    int
	length  time.Duration
	rounds  int
	program string
	temp    string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var opt options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&opt.rate, "rate", 1000, "`requests` a second")
	flags.DurationVar(&opt.length, "for", 5*time.Second, "how `long` to load the service, each time")
	flags.IntVar(&opt.rounds, "n", 3, "`times` that each way is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if opt.rate < 1 || opt.rate > 100_000 || opt.length < time.Second || opt.length > time.Minute || opt.rounds < 1 || flags.NArg() > 0 {
		return errors.New("usage: bench [-rate 1000] [-for 5s] [-n 3]; at most 100000 requests a second, for a minute")
	}
	var err error
	if opt.temp, err = os.MkdirTemp("", "tracedoc-flight-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(opt.temp) }() // the system clears its temporary folder
	opt.program = filepath.Join(opt.temp, "shop")
	build := exec.CommandContext(ctx, "go", "build", "-o", opt.program, "github.com/tracedoc/tracedoc/flight/example")
	build.Stdout, build.Stderr = stderr, stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("cannot build the service: %w", err)
	}
	results := make([][]result, len(ways))
	for range opt.rounds {
		for i, w := range ways {
			fmt.Fprintf(stderr, "%s …\n", w.name)
			res, err := measure(ctx, opt, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			results[i] = append(results[i], res)
		}
	}
	return table(stdout, opt, results)
}

// way is one way to run the service.
type way struct {
	name  string
	args  []string
	every time.Duration // between two of what is asked for beside the load; 0 for nothing
	ask   func(base string) (*http.Request, error)
}

var ways = []way{
	{name: "without flight", args: []string{"-flight=false"}},
	{name: "recording"},
	{name: "a snapshot every second", args: []string{"-interval=1ns"}, every: time.Second, ask: func(base string) (*http.Request, error) {
		return http.NewRequest(http.MethodPost, base+"/debug/tracedoc", nil)
	}},
	{name: "one report after the other", every: time.Millisecond, ask: func(base string) (*http.Request, error) {
		return http.NewRequest(http.MethodGet, base+"/debug/tracedoc?format=json", nil)
	}},
}

// result is what one run of the service gave.
type result struct {
	latencies []time.Duration // sorted
	failed    int
	cpu       time.Duration // of the service
	took      time.Duration
	memory    int64 // its peak
	extras    int   // snapshots or reports
}

func measure(ctx context.Context, opt options, w way) (result, error) {
	var res result
	dir, err := os.MkdirTemp(opt.temp, "")
	if err != nil {
		return res, err
	}
	cmd := exec.CommandContext(ctx, opt.program, append([]string{"-addr=127.0.0.1:0", "-slow=1h", "-dir=" + dir}, w.args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return res, err
	}
	if err := cmd.Start(); err != nil {
		return res, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, base, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		_ = cmd.Process.Kill()
		return res, fmt.Errorf("the service does not start: %w", errors.Join(err, cmd.Wait()))
	}
	load(ctx, opt, w, base, &res)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		return res, fmt.Errorf("the service ended badly: %w", err)
	}
	res.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		res.memory = int64(usage.Maxrss) << 10
		if runtime.GOOS == "darwin" {
			res.memory >>= 10 // counts in bytes
		}
	}
	return res, ctx.Err()
}

// workers is how many requests may be under way at a time.
const workers = 128

// load sends the load, and what the way asks for beside it.
func load(ctx context.Context, opt options, w way, base string, res *result) {
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: workers,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	total := int(float64(opt.rate) * opt.length.Seconds())
	latencies := make([]time.Duration, total)
	failed := make([]int, workers)
	begin := time.Now()
	var loading sync.WaitGroup
	for i := range workers {
		loading.Go(func() {
			for k := i; k < total && ctx.Err() == nil; k += workers {
				due := begin.Add(time.Duration(k) * time.Second / time.Duration(opt.rate))
				time.Sleep(time.Until(due))
				if !get(client, base+"/order?item=tea") {
					failed[i]++
				}
				latencies[k] = time.Since(due)
			}
		})
	}
	done := make(chan struct{})
	var beside sync.WaitGroup
	if w.ask != nil {
		beside.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(w.every):
				}
				if req, err := w.ask(base); err == nil && do(client, req) {
					res.extras++
				}
			}
		})
	}
	loading.Wait()
	res.took = time.Since(begin)
	close(done)
	beside.Wait()
	slices.Sort(latencies)
	res.latencies = latencies
	for _, n := range failed {
		res.failed += n
	}
}

func get(client *http.Client, url string) bool {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	return err == nil && do(client, req)
}

func do(client *http.Client, req *http.Request) bool {
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close() // it was only read from
	return err == nil && res.StatusCode < 300
}

func (r *result) percentile(p float64) float64 {
	i := int(math.Ceil(p/100*float64(len(r.latencies)))) - 1
	return r.latencies[max(i, 0)].Seconds() * 1000
}

func table(w io.Writer, opt options, results [][]result) error {
	fmt.Fprintf(w, "%d requests a second for %v, %d times each; %s, %d processors\n\n", opt.rate, opt.length, opt.rounds, runtime.Version(), runtime.NumCPU())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tp50 ms\tp99 ms\tp99.9 ms\tprocessors\tmemory MB\tfailed\tmade\t")
	for i, way := range ways {
		fmt.Fprintf(t, "%s\t", way.name)
		for _, column := range []struct {
			format string
			of     func(*result) float64
		}{
			{"%.2f", func(r *result) float64 { return r.percentile(50) }},
			{"%.2f", func(r *result) float64 { return r.percentile(99) }},
			{"%.2f", func(r *result) float64 { return r.percentile(99.9) }},
			{"%.3f", func(r *result) float64 { return r.cpu.Seconds() / r.took.Seconds() }},
			{"%.0f", func(r *result) float64 { return float64(r.memory) / 1e6 }},
			{"%.0f", func(r *result) float64 { return float64(r.failed) }},
			{"%.0f", func(r *result) float64 { return float64(r.extras) }},
		} {
			var values []float64
			for k := range results[i] {
				values = append(values, column.of(&results[i][k]))
			}
			slices.Sort(values)
			fmt.Fprintf(t, column.format+"\t", values[len(values)/2])
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
