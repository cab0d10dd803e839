package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
	"github.com/tracedoc/tracedoc/redact"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/source"
)

// analyzeFlags are the flags of analyze.
type analyzeFlags struct {
	settings
	requests      requests
	scenes        bool
	baseline      string
	writeBaseline string
}

func (t *tool) analyzeCommand() *cobra.Command {
	var f analyzeFlags
	cmd := &cobra.Command{
		Use:   "analyze [flags] TRACE...",
		Short: "Find what is wrong, in one trace or several",
		Long: `Analyze reads traces and reports what is wrong with the program's concurrency.

A TRACE is a file, a pattern of file names, a folder (then all traces in it
and below), "-" for standard input, or an http(s) URL that serves a trace.
Plain, gzip and zstd are told apart by content. The same problem in several
traces is one finding. A report that was written with --format json does for
its traces: so it can be filtered, joined with others, or written in another
format, with pictures if it was written with --scenes.

Several reports can be written in one run, each --format to the --output beside
it: all of them are written, or none.

Where the program's source is at hand, findings show the lines around their
site and know more. It is looked for in the module of the working directory,
or in the folders of --source, and in the module cache and GOROOT; nothing
else is read, and nothing is run or downloaded.

A baseline holds findings that are known: --baseline leaves them out, so that
only what is new counts. --write-baseline writes all that was found into one
(with --baseline also what is known already) and does not fail.

With --redact the report is fit to be sent outside: names that are not the
standard library's become placeholders, lines of source are left out. Baselines
keep their names.

Exit status: 0 done; 1 done, and --fail-on or --fail-on-incomplete was met;
2 wrong usage, or an input could not be read at all.`,
		Example: `  go test -trace trace.out ./mypackage && tracedoc analyze trace.out
  tracedoc analyze 'http://localhost:6060/debug/pprof/trace?seconds=5'
  tracedoc analyze --format json --output report.json --fail-on high trace.out
  tracedoc analyze -f github -f sarif -o report.sarif -f junit -o report.xml traces/
  tracedoc analyze --write-baseline known.json traces/
  tracedoc analyze --baseline known.json --fail-on medium traces/
  tracedoc analyze --source ~/src/shop trace.out
  tracedoc analyze --redact -f json -o to-send.json trace.out`,
		RunE: func(cmd *cobra.Command, args []string) error { return t.analyze(cmd, args, &f) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault // files
		},
	}
	cmd.Flags().SortFlags = false
	f.addFlags(t, cmd)
	return cmd
}

// addFlags defines the flags of whatever ends in a report.
func (f *analyzeFlags) addFlags(t *tool, cmd *cobra.Command) {
	var formats []string
	for _, format := range render.Formats() {
		formats = append(formats, fmt.Sprintf("%s (%s)", format.Name, format.Doc))
	}
	flags := cmd.Flags()
	flags.VarP(f.requests.format(), "format", "f", "how to write the report, may be repeated: "+strings.Join(formats, ", "))
	flags.VarP(f.requests.path(), "output", "o", "`FILE` to write the report to, whole or not at all; may be repeated (default standard output)")
	f.settings.addFlags(t, cmd, "a finding remains of")
	flags.BoolVar(&f.failOnIncomplete, "fail-on-incomplete", false, "exit with status 1 when a trace could not be read whole")
	flags.UintVar(&f.top, "top", 0, "report at most `N` findings, 0 for all")
	flags.BoolVar(&f.scenes, "scenes", false, "put what pictures are drawn from into json and jsonl, too: it takes a second reading")
	flags.StringVar(&f.baseline, "baseline", "", "leave out the findings that this `FILE` knows")
	flags.BoolVar(&f.redact, "redact", false, redactUsage)
	flags.StringVar(&f.writeBaseline, "write-baseline", "", "write all that is found into this `FILE`, for --baseline")
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(render.FormatNames(), cobra.ShellCompDirectiveNoFileComp))
}

func (t *tool) analyze(cmd *cobra.Command, traces []string, f *analyzeFlags) error {
	if err := checkTraces(traces); err != nil {
		return err
	}
	p, err := t.prepare(cmd, f)
	if err != nil {
		return err
	}
	traces, err = inputs(cmd.Context(), traces)
	if err != nil {
		return failed(err)
	}
	return t.judge(cmd.Context(), traces, f, p)
}

// plan is what can be worked out, and found to be wrong, before any trace is there.
type plan struct {
	outputs []*output
	policy  gate.Policy
}

func (t *tool) prepare(cmd *cobra.Command, f *analyzeFlags) (*plan, error) {
	outputs, err := t.outputsFor(f.requests)
	if err != nil {
		return nil, err
	}
	if err := f.load(t, cmd); err != nil {
		return nil, err
	}
	policy, err := f.policy()
	if err != nil {
		return nil, failed(err)
	}
	return &plan{outputs, policy}, nil
}

// judge reads traces and writes the report. Its error carries the exit status.
func (t *tool) judge(ctx context.Context, traces []string, f *analyzeFlags, p *plan) error {
	parts := f.parts(p.outputs)
	if parts != detectors.NoParts {
		f.copies = &copies{}
		defer f.copies.remove()
	}
	saved, traces, err := savedReports(traces)
	if err != nil {
		return failed(err)
	}
	results, unreadable, err := t.readAll(ctx, traces, &f.settings)
	if err != nil {
		return failed(err)
	}
	if len(results)+len(saved) == 0 {
		return &exitError{code: exitUsage} // everything is said
	}
	report := detectors.Collect(results, readBuild().version)
	if len(saved) > 0 {
		report = detectors.JoinReports(append([]*detectors.Report{report}, saved...))
		t.warnOfPictures(saved, parts)
		report.Tool = detectors.Tool{Name: report.Tool.Name, Version: readBuild().version}
	}
	var extra []file
	if f.writeBaseline != "" {
		data, err := f.newBaseline(report, p.policy)
		if err != nil {
			return failed(err)
		}
		extra = append(extra, file{f.writeBaseline, data})
	}
	for _, warning := range p.policy.Apply(report, f.options(), time.Now()) {
		fmt.Fprintf(t.stderr, "tracedoc: warning: %s\n", render.Printable(warning))
	}
	if err := t.draw(ctx, report, len(results), parts, &f.settings); err != nil {
		return failed(err)
	}
	if f.redact {
		report = redact.Report(report, f.private())
	}
	if err := t.writeReports(p.outputs, report, &f.settings, extra); err != nil {
		return failed(err)
	}
	if f.stats {
		t.printTotals()
	}
	if code := exitStatus(report, f, unreadable); code != exitDone {
		return &exitError{code: code}
	}
	return nil
}

// warnOfPictures tells of saved reports that have nothing to draw where formats would.
func (t *tool) warnOfPictures(saved []*detectors.Report, parts detectors.Parts) {
	for _, r := range saved {
		for i := range r.Traces {
			if parts != detectors.NoParts && r.Traces[i].Activity == nil {
				fmt.Fprintf(t.stderr, "tracedoc: warning: the saved report on %s was written without --scenes: it has no pictures\n", render.Printable(r.Traces[i].Source))
			}
		}
	}
}

// checkTraces tells what is wrong with the arguments, before anything is read.
func checkTraces(traces []string) error {
	if len(traces) == 0 {
		return errors.New("no trace given: name a file, a folder, a URL, or - for standard input")
	}
	if i := slices.Index(traces, "-"); i >= 0 && slices.Contains(traces[i+1:], "-") {
		return errors.New("standard input (-) can be read only once")
	}
	return nil
}

// parts says what has to be looked up for the outputs, and gives --scenes to
// those that take whatever a report has.
func (f *analyzeFlags) parts(outputs []*output) detectors.Parts {
	parts := detectors.NoParts
	for _, o := range outputs {
		if f.scenes && o.format.Carries {
			o.extra = detectors.AllParts
		}
		parts |= o.format.Needs | o.extra
	}
	return parts
}

// policy is what the configuration and the baseline decide.
func (f *analyzeFlags) policy() (gate.Policy, error) {
	policy := f.config.Policy()
	path := f.baseline
	if path == "" && f.writeBaseline == "" { // what is written anew does not build on what the configuration names
		path = f.config.Baseline
	}
	if path == "" {
		return policy, nil
	}
	var err error
	policy.Baseline, err = readBaseline(path)
	return policy, err
}

// newBaseline makes a baseline of all that was found and is not ignored, however
// mild or doubtful: a known finding stays known when it gets a little worse.
func (f *analyzeFlags) newBaseline(report *detectors.Report, policy gate.Policy) ([]byte, error) {
	if err := checkTarget(f.writeBaseline); err != nil {
		return nil, fmt.Errorf("%s: cannot write the baseline: %w", f.writeBaseline, err)
	}
	all := *report
	all.Findings = slices.Clone(report.Findings)
	known := policy.Baseline
	policy.Baseline = nil
	policy.Apply(&all, detectors.Options{}, time.Now())
	b := gate.NewBaseline(&all)
	if known != nil {
		b.Add(known)
	}
	return b.Encode()
}

// exitStatus decides the exit status from what was found and what was asked.
func exitStatus(r *detectors.Report, f *analyzeFlags, unreadable bool) int {
	worst, any := r.Worst()
	accepted := f.writeBaseline != "" // all of it is known from now on
	switch {
	case unreadable:
		return exitUsage
	case f.failOn.set && any && worst >= f.failOn.severity && !accepted, f.failOnIncomplete && !r.Complete():
		return exitFailOn
	}
	return exitDone
}

// writeReports has each format write the report, then writes them all or none.
func (t *tool) writeReports(outputs []*output, report *detectors.Report, s *settings, extra []file) error {
	repository := source.OpenRepository(".", s.tree)
	warned := false
	for _, o := range outputs {
		if !s.redact { // else files are not where the report has them
			o.options.Relative, o.options.Elsewhere = repository.Relative, repository.GoMod()
		}
		if s.failOn.set {
			o.options.FailOn = s.failOn.severity
		}
		var b bytes.Buffer
		if err := o.format.Write(&b, report.Only(o.format.Needs|o.extra), o.options); err != nil {
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

// warn repeats the report's warnings where they might otherwise not be seen.
func (t *tool) warn(r *detectors.Report) {
	for i := range r.Traces {
		for _, w := range r.Traces[i].Warnings {
			fmt.Fprintf(t.stderr, "tracedoc: warning: %s: %s\n", render.Printable(r.Traces[i].Source), render.Printable(w))
		}
	}
}
