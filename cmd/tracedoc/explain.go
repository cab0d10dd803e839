package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/redact"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/scenes"
	"github.com/tracedoc/tracedoc/traceload"
)

func (t *tool) explainCommand() *cobra.Command {
	var in, at string
	var hide bool
	cmd := &cobra.Command{
		Use:   "explain DETECTOR | --in REPORT FINDING | --at TIME TRACE",
		Short: "All about a detector, a finding of a report, or a moment of a trace",
		Long: `Explain tells all about one thing.

A DETECTOR: what it looks for, how it decides, its limits, and the repairs it
suggests.

A FINDING of a REPORT that was written with --format json, by its rank or its
fingerprint: all evidence, all groups with their whole stacks, the timeline, how
to open the same moment in go tool trace, and, if the report was written with
--scenes, what its goroutines did.

A TIME of a TRACE ("1.23s", "850ms"), from the trace's first event on: what every
goroutine did then, those at one place counted, like a goroutine dump. With --in
it also says which findings of the report are about them, and the trace may be
left out if the report is of one only.`,
		Example: `  tracedoc explain goroutine-leak
  tracedoc analyze --scenes -f json -o report.json trace.out
  tracedoc explain --in report.json 2
  tracedoc explain --at 1.23s trace.out
  tracedoc explain --in report.json --at 1.23s`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			switch {
			case at != "":
				return nil, cobra.ShellCompDirectiveDefault // files
			case in != "" || len(args) > 0:
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return t.names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.Flags().Changed("at"):
				return t.explainMoment(cmd.Context(), at, in, args, hide)
			case cmd.Flags().Changed("in"):
				return t.explainFinding(in, args, hide)
			}
			return t.explainDetector(args)
		},
	}
	cmd.Flags().StringVar(&in, "in", "", "explain a finding of this `REPORT` in JSON")
	cmd.Flags().StringVar(&at, "at", "", "explain this `TIME` of a trace")
	cmd.Flags().BoolVar(&hide, "redact", false, redactUsage)
	return cmd
}

func (t *tool) explainDetector(args []string) error {
	name, err := only("a detector", args, strings.Join(t.names(), ", "))
	if err != nil {
		return err
	}
	d, err := t.detector(name)
	if err != nil {
		return err
	}
	return failedIf(render.Explain(t.stdout, d, t.screen()))
}

// explainFinding tells all that a report knows about one of its findings.
func (t *tool) explainFinding(in string, args []string, hide bool) error {
	name, err := only("a finding", args, "its rank or its fingerprint")
	if err != nil {
		return err
	}
	r, err := t.savedReport(in)
	if err != nil {
		return failed(err)
	}
	i, err := findingIn(r, name)
	if err != nil {
		return failed(fmt.Errorf("%s: %w", in, err))
	}
	if hide {
		r = redact.Report(r, nil)
	}
	return failedIf(render.Dossier(t.stdout, r, i, t.screen()))
}

// findingIn returns the index of the finding with that rank or fingerprint; the
// beginning of a fingerprint will do if it is the only one.
func findingIn(r *detectors.Report, name string) (int, error) {
	rank, err := strconv.Atoi(name)
	if err == nil && len(name) < shortestFingerprint {
		if i := slices.IndexFunc(r.Findings, func(f detectors.Finding) bool { return f.Rank == rank }); i >= 0 {
			return i, nil
		}
		switch n := len(r.Findings); n {
		case 0:
			return 0, errors.New("the report has no findings")
		case 1:
			return 0, errors.New("there is no finding of that rank: the report has only the first")
		default:
			return 0, fmt.Errorf("there is no finding of rank %d: the report has %d", rank, n)
		}
	}
	found := -1
	for i := range r.Findings {
		if len(name) >= shortestFingerprint && strings.HasPrefix(r.Findings[i].Fingerprint, name) {
			if found >= 0 {
				return 0, fmt.Errorf("several findings have a fingerprint that begins with %s", name)
			}
			found = i
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("no finding has the rank or the fingerprint %q", name)
	}
	return found, nil
}

// shortestFingerprint is how much of a fingerprint is taken for one.
const shortestFingerprint = 6

// explainMoment tells what every goroutine did at a time of a trace.
func (t *tool) explainMoment(ctx context.Context, at, in string, args []string, hide bool) error {
	when, err := timeOfTrace(at)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		return fmt.Errorf("name only one trace: %q is too much", strings.Join(args[1:], " "))
	}
	var r *detectors.Report
	if in != "" {
		if r, err = t.savedReport(in); err != nil {
			return failed(err)
		}
	}
	source, index, err := traceOf(r, args)
	if err != nil {
		return err
	}
	m, err := attend(ctx, t, source, func(m *meter, progress traceload.Progress) (*detectors.Moment, error) {
		input, err := traceload.Open(ctx, source, traceload.OpenOptions{Stdin: t.stdin, Recording: m.recording})
		if err != nil {
			return nil, err
		}
		defer func() { _ = input.Close() }() // it was only read from
		m.reading(input)
		return scenes.At(input, when, &scenes.Options{Progress: progress, Limits: (&resources{}).limits()})
	})
	switch {
	case ctx.Err() != nil:
		return failed(errors.New("interrupted"))
	case err != nil:
		return failed(err)
	}
	if index < 0 || !sameTrace(&r.Traces[index], m) {
		if r != nil {
			fmt.Fprintf(t.stderr, "tracedoc: warning: %s is not about %s; its findings are left aside\n", render.Printable(in), render.Printable(source))
		}
		r = nil
	}
	if hide {
		m, r = redact.Moment(m, r)
	}
	return failedIf(render.Moment(t.stdout, m, r, max(index, 0), t.screen()))
}

// timeOfTrace reads a time from the trace's first event on; a mere number is seconds.
func timeOfTrace(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); err != nil && numErr == nil {
		d, err = time.ParseDuration(strconv.FormatFloat(seconds, 'f', -1, 64) + "s")
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--at %q: not a time of a trace: give it as 1.23s or 850ms, from the trace's first event on", text)
	}
	return d, nil
}

// traceOf chooses the trace to read, and its index in the report; -1 if it is
// not there.
func traceOf(r *detectors.Report, args []string) (source string, index int, err error) {
	switch {
	case len(args) == 1 && r == nil:
		return args[0], -1, nil
	case len(args) == 1:
		i := slices.IndexFunc(r.Traces, func(t detectors.Trace) bool { return t.Source == args[0] })
		if i < 0 && len(r.Traces) == 1 {
			i = 0 // it may be somewhere else by now
		}
		return args[0], i, nil
	case r == nil:
		return "", 0, errors.New("name a trace: a file, a URL, or - for standard input")
	case len(r.Traces) != 1:
		return "", 0, fmt.Errorf("name one of the %d traces of the report", len(r.Traces))
	}
	source = r.Traces[0].Source
	if !rereadable(source) {
		if source == "-" {
			source = "standard input"
		}
		return "", 0, fmt.Errorf("name the file that holds the trace: that of the report was read from %s", source)
	}
	return source, 0, nil
}

// sameTrace tells whether a moment is of the trace that a report is about.
func sameTrace(t *detectors.Trace, m *detectors.Moment) bool { return t.Duration == m.Duration }

// savedReport reads a report that was written with --format json; "-" is
// standard input.
func (t *tool) savedReport(path string) (*detectors.Report, error) {
	if path == "-" {
		r, err := detectors.ReadReport(t.stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return r, nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s: cannot read the report: %w", path, reason(err))
	}
	r, err := reportIn(path)
	if err == nil && r == nil {
		err = fmt.Errorf("%s: not a report: expected what analyze --format json writes", path)
	}
	return r, err
}

// names lists the names of all detectors.
func (t *tool) names() []string {
	var names []string
	for _, d := range t.detectors {
		names = append(names, d.Name)
	}
	return names
}

func (t *tool) detector(name string) (*detectors.Detector, error) {
	for _, d := range t.detectors {
		if d.Name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("unknown detector %q: use one of %s", name, strings.Join(t.names(), ", "))
}

// only wants exactly one argument and says what it can be.
func only(what string, args []string, choices string) (string, error) {
	switch {
	case len(args) == 0:
		return "", fmt.Errorf("name %s: one of %s", what, choices)
	case len(args) > 1:
		return "", fmt.Errorf("name only one: %q is too much", strings.Join(args[1:], " "))
	}
	return args[0], nil
}

// failedIf is failed for an error, and nil without one.
func failedIf(err error) error {
	if err == nil {
		return nil
	}
	return failed(err)
}
