package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// analyzeFlags are the flags of analyze.
type analyzeFlags struct {
	requests         requests
	failOn           severityOrNever
	failOnIncomplete bool
	minSeverity      severityFlag
	minConfidence    fraction
	only, skip       []string
	sourceDirs       []string
	top              uint
}

func (t *tool) analyzeCommand() *cobra.Command {
	f := analyzeFlags{minSeverity: severityFlag(detectors.Low), minConfidence: 0.5}
	var formats []string
	for _, format := range render.Formats() {
		formats = append(formats, fmt.Sprintf("%s (%s)", format.Name, format.Doc))
	}
	severities := strings.Join(detectors.Severities(), ", ")
	cmd := &cobra.Command{
		Use:   "analyze [flags] TRACE...",
		Short: "Find what is wrong, in one trace or several",
		Long: `Analyze reads traces and reports what is wrong with the program's concurrency.

A TRACE is a file, a pattern of file names, a folder (then all traces in it
and below), "-" for standard input, or an http(s) URL that serves a trace.
Plain, gzip and zstd are told apart by content. The same problem in several
traces is one finding.

Several reports can be written in one run, each --format to the --output beside
it: all of them are written, or none.

Where the program's source is at hand, findings show the lines around their
site and know more. It is looked for in the module of the working directory,
or in the folders of --source, and in the module cache and GOROOT; nothing
else is read, and nothing is run or downloaded.

Exit status: 0 done; 1 done, and --fail-on or --fail-on-incomplete was met;
2 wrong usage, or an input could not be read at all.`,
		Example: `  go test -trace trace.out ./mypackage && tracedoc analyze trace.out
  tracedoc analyze 'http://localhost:6060/debug/pprof/trace?seconds=5'
  tracedoc analyze --format json --output report.json --fail-on high trace.out
  tracedoc analyze -f github -f sarif -o report.sarif -f junit -o report.xml traces/
  tracedoc analyze --source ~/src/shop trace.out`,
		RunE: func(cmd *cobra.Command, args []string) error { return t.analyze(cmd.Context(), args, &f) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault // files
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.VarP(f.requests.format(), "format", "f", "how to write the report, may be repeated: "+strings.Join(formats, ", "))
	flags.VarP(f.requests.path(), "output", "o", "`FILE` to write the report to, whole or not at all; may be repeated (default standard output)")
	flags.Var(&f.failOn, "fail-on", "exit with status 1 when a finding of this `SEVERITY` or above remains: "+severities+" (default never)")
	flags.BoolVar(&f.failOnIncomplete, "fail-on-incomplete", false, "exit with status 1 when a trace could not be read whole")
	flags.Var(&f.minSeverity, "min-severity", "leave out findings below this `SEVERITY`")
	flags.Var(&f.minConfidence, "min-confidence", "leave out findings that are less sure, from 0 to 1")
	flags.StringSliceVar(&f.only, "only", nil, "use only these `DETECTORS` or families, comma separated")
	flags.StringSliceVar(&f.skip, "skip", nil, "do not use these `DETECTORS` or families, comma separated")
	flags.UintVar(&f.top, "top", 0, "report at most `N` findings, 0 for all")
	flags.StringArrayVar(&f.sourceDirs, "source", nil, "look for the program's source in this `DIR`, may be repeated; \""+sourceOff+"\" reads none (default the module of the working directory)")
	complete := func(flag string, choices []string) {
		// It fails only for a flag that does not exist.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("format", render.FormatNames())
	complete("fail-on", detectors.Severities())
	complete("min-severity", detectors.Severities())
	complete("only", t.detectorNames())
	complete("skip", t.detectorNames())
	_ = cmd.MarkFlagDirname("source") // likewise
	return cmd
}

// detectorNames lists what --only and --skip take.
func (t *tool) detectorNames() []string {
	var names []string
	for _, d := range t.detectors {
		names = append(names, d.Name, string(d.Family))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sourceOff is what --source takes instead of a folder.
const sourceOff = "off"

// openSource opens the source that the flags of --source name; nil means that
// none is to be read.
func openSource(dirs []string) (*source.Tree, error) {
	if len(dirs) == 0 {
		return source.Default(), nil
	}
	if slices.Contains(dirs, sourceOff) {
		if len(dirs) > 1 {
			return nil, fmt.Errorf("--source %s goes with no other --source; a folder of that name is ./%s", sourceOff, sourceOff)
		}
		return nil, nil
	}
	for _, dir := range dirs {
		if err := checkFolder(dir); err != nil {
			return nil, fmt.Errorf("--source %q: cannot read the folder: %w", dir, reason(err))
		}
	}
	tree, err := source.New(dirs...)
	if err != nil {
		return nil, fmt.Errorf("--source: %w", err)
	}
	return tree, nil
}

// checkFolder tells why a path is not a folder that can be read; nil if it is.
func checkFolder(path string) error {
	if st, err := os.Stat(path); err != nil {
		return err
	} else if !st.IsDir() { // before it is opened: a named pipe would block
		return errors.New("not a directory")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func (t *tool) analyze(ctx context.Context, traces []string, f *analyzeFlags) error {
	if len(traces) == 0 {
		return errors.New("no trace given: name a file, a URL, or - for standard input")
	}
	if i := slices.Index(traces, "-"); i >= 0 && slices.Contains(traces[i+1:], "-") {
		return errors.New("standard input (-) can be read only once")
	}
	list, err := detectors.Select(t.detectors, trimmed(f.only), trimmed(f.skip))
	if err != nil {
		return err
	}
	outputs, err := t.outputsFor(f.requests)
	if err != nil {
		return err
	}
	tree, err := openSource(f.sourceDirs) // one for all traces: each file is read once
	if err != nil {
		return failed(err)
	}
	traces, err = inputs(ctx, traces)
	if err != nil {
		return failed(err)
	}
	results, unreadable, err := t.readAll(ctx, traces, list, tree)
	if err != nil {
		return failed(err)
	}
	if len(results) == 0 {
		return &exitError{code: exitUsage} // everything is said
	}

	report := detectors.NewReport(results, detectors.Options{
		Version: readBuild().version, MinSeverity: detectors.Severity(f.minSeverity), MinConfidence: float64(f.minConfidence), Top: int(f.top),
	})
	if err := t.writeReports(outputs, report, f, tree); err != nil {
		return failed(err)
	}
	if code := exitStatus(report, f, unreadable); code != exitDone {
		return &exitError{code: code}
	}
	return nil
}

// readAll analyzes traces. It tells those that cannot be read; err is only for
// what ends everything.
func (t *tool) readAll(ctx context.Context, traces []string, list []*detectors.Detector, tree *source.Tree) (results []*detectors.Result, unreadable bool, err error) {
	var src detectors.Source
	if tree != nil { // not a nil *Tree in an interface
		src = tree
	}
	for _, trace := range traces {
		res, err := t.read(ctx, trace, list, src)
		switch {
		case ctx.Err() != nil:
			return nil, false, errors.New("interrupted")
		case err != nil:
			t.complain(err)
			unreadable = true
		default:
			results = append(results, res)
		}
	}
	return results, unreadable, nil
}

// writeReports has each format write the report, then writes them all or none.
func (t *tool) writeReports(outputs []*output, report *detectors.Report, f *analyzeFlags, tree *source.Tree) error {
	repository := source.OpenRepository(".", tree)
	var extra []file
	warned := false
	for _, o := range outputs {
		o.options.Relative, o.options.Elsewhere = repository.Relative, repository.GoMod()
		if f.failOn.set {
			o.options.FailOn = f.failOn.severity
		}
		var b bytes.Buffer
		if err := o.format.Write(&b, report, o.options); err != nil {
			return err
		}
		o.data = b.Bytes()
		warned = warned || o.format.Human && o.shown()
		if path := t.env(summaryFile); path != "" && o.format.Summary != nil {
			summary, err := os.ReadFile(path) // of earlier commands of the same step
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("the summary of the job: %w", err)
			}
			b := bytes.NewBuffer(summary)
			if err := o.format.Summary(b, report, o.options); err != nil {
				return err
			}
			extra = append(extra, file{path, b.Bytes()})
		}
	}
	if !warned {
		t.warn(report)
	}
	return t.writeAll(outputs, extra...)
}

// summaryFile names the environment variable in which GitHub Actions says which
// file holds the summary of a job.
const summaryFile = "GITHUB_STEP_SUMMARY"

// exitStatus decides the exit status from what was found and what was asked.
func exitStatus(r *detectors.Report, f *analyzeFlags, unreadable bool) int {
	worst, any := r.Worst()
	switch {
	case unreadable:
		return exitUsage
	case f.failOn.set && any && worst >= f.failOn.severity, f.failOnIncomplete && !r.Complete():
		return exitFailOn
	}
	return exitDone
}

// warn repeats the report's warnings where they might otherwise not be seen.
func (t *tool) warn(r *detectors.Report) {
	for i := range r.Traces {
		for _, w := range r.Traces[i].Warnings {
			fmt.Fprintf(t.stderr, "tracedoc: warning: %s: %s\n", render.Printable(r.Traces[i].Source), render.Printable(w))
		}
	}
}

// read analyzes one trace. It returns at once when ctx is done, even while a
// read of standard input does not return; what is left behind then ends with
// the process, or as soon as it has something to say.
func (t *tool) read(ctx context.Context, trace string, list []*detectors.Detector, src detectors.Source) (*detectors.Result, error) {
	meter := t.newMeter(trace)
	defer meter.stop()
	type outcome struct {
		res *detectors.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- outcome{err: fmt.Errorf("%s: internal error: %v at %s; this is a bug of tracedoc, not of the trace", trace, v, panicSite())}
			}
		}()
		in, err := traceload.Open(ctx, trace, traceload.OpenOptions{Stdin: t.stdin, Recording: meter.recording})
		if err != nil {
			done <- outcome{err: err}
			return
		}
		defer func() { _ = in.Close() }() // it was only read from
		meter.reading(in)
		res, err := detectors.Analyze(in, list, detectors.Config{Source: src, Progress: func(int64) {
			if ctx.Err() != nil {
				runtime.Goexit() // nobody waits for the result any more
			}
		}})
		done <- outcome{res, err}
	}()
	select {
	case o := <-done:
		return o.res, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// panicSite names the line that panicked; to be called while it is recovered.
func panicSite() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for after := false; ; {
		f, more := frames.Next()
		if inRuntime := strings.HasPrefix(f.Function, "runtime."); after && !inRuntime {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		} else if inRuntime {
			after = true
		}
		if !more {
			return "an unknown line"
		}
	}
}

func trimmed(names []string) []string {
	var out []string
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			out = append(out, n)
		}
	}
	return out
}

// severityFlag is a severity as a flag.
type severityFlag detectors.Severity

func (s *severityFlag) String() string { return detectors.Severity(*s).String() }
func (s *severityFlag) Type() string   { return "severity" }
func (s *severityFlag) Set(text string) error {
	v, err := detectors.ParseSeverity(text)
	*s = severityFlag(v)
	return err
}

// severityOrNever is a severity as a flag, or "never", its zero value.
type severityOrNever struct {
	set      bool
	severity detectors.Severity
}

func (s *severityOrNever) Type() string { return "severity" }
func (s *severityOrNever) String() string {
	if s.set {
		return s.severity.String()
	}
	return "" // cobra then shows no default; the help text says never
}

func (s *severityOrNever) Set(text string) (err error) {
	if text == "never" {
		*s = severityOrNever{}
		return nil
	}
	s.severity, err = detectors.ParseSeverity(text)
	s.set = err == nil
	return err
}

// fraction is a number from 0 to 1 as a flag.
type fraction float64

func (f *fraction) String() string { return strconv.FormatFloat(float64(*f), 'g', -1, 64) }
func (f *fraction) Type() string   { return "number" }
func (f *fraction) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 1) { // NaN is neither
		return errors.New("must be a number from 0 to 1")
	}
	*f = fraction(v)
	return nil
}
