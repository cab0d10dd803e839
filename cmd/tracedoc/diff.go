package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
	"github.com/tracedoc/tracedoc/redact"
	"github.com/tracedoc/tracedoc/render"
)

// diffFlags are the flags of diff.
type diffFlags struct {
	settings
	format, output string
}

func (t *tool) diffCommand() *cobra.Command {
	var f diffFlags
	var formats []string
	for _, format := range render.DiffFormats() {
		formats = append(formats, fmt.Sprintf("%s (%s)", format.Name, format.Doc))
	}
	cmd := &cobra.Command{
		Use:   "diff [flags] OLD NEW",
		Short: "Compare two traces or reports: what is new, gone, worse or better",
		Long: `Diff compares two sides and says what is new, gone, worse or better, with the
figures that changed.

A side is a trace, a report that was written with --format json, or several of
them: a folder or a pattern of file names (in quotes, so that the shell leaves
it alone). Several traces a side tell how much the figures spread: with four and
more, a rank test tells a change from noise, with two or three their ranges must
not meet, and with one a figure must double or halve. A difference that is no
more than that is called noise.

Exit status: 0 done; 1 done, and --fail-on was met by something new or worse;
2 wrong usage, or an input could not be read.`,
		Example: `  tracedoc diff before.trace after.trace
  tracedoc diff --fail-on medium 'main/*.trace' 'branch/*.trace'
  tracedoc diff -f markdown -o comment.md report-of-main.json trace.out`,
		RunE: func(cmd *cobra.Command, args []string) error { return t.diff(cmd, args, &f) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault // files
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.format, "format", "f", render.DiffFormatNames()[0], "how to write the comparison: "+strings.Join(formats, ", "))
	flags.StringVarP(&f.output, "output", "o", "", "`FILE` to write it to, whole or not at all (default standard output)")
	f.addFlags(t, cmd, "something is new or worse of")
	flags.BoolVar(&f.redact, "redact", false, redactUsage)
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(render.DiffFormatNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (t *tool) diff(cmd *cobra.Command, args []string, f *diffFlags) error {
	switch {
	case len(args) < 2:
		return errors.New("name two sides: OLD and NEW")
	case len(args) > 2:
		return fmt.Errorf("name two sides, not %d; several traces of a side are a folder, or a pattern in quotes", len(args))
	case args[0] == "-" && args[1] == "-":
		return errors.New("standard input (-) can be read only once")
	}
	format, err := render.DiffFormatByName(f.format)
	if err != nil {
		return err
	}
	out := &output{options: t.screen()}
	if f.output != "" && f.output != "-" {
		if err := checkTarget(f.output); err != nil {
			return failed(fmt.Errorf("%s: cannot write the comparison: %w", f.output, err))
		}
		out = &output{path: f.output, options: render.Options{Width: t.columns()}}
	}
	if err := f.load(t, cmd); err != nil {
		return err
	}
	var sides [2]*detectors.Report
	for i, arg := range args {
		if sides[i], err = t.side(cmd.Context(), arg, &f.settings); err != nil {
			return failed(err)
		}
		policy := f.config.Policy()
		policy.Apply(sides[i], detectors.Options{}, time.Now()) // its warnings are for analyze
	}
	d := gate.Compare(sides[0], sides[1], f.options())
	d.Tool = detectors.Tool{Name: "tracedoc", Version: readBuild().version}
	if f.redact {
		d = redact.Diff(d, f.private())
	}
	var b bytes.Buffer
	if err := format.Write(&b, d, out.options); err != nil {
		return failed(err)
	}
	out.data = b.Bytes()
	if err := t.writeAll([]*output{out}); err != nil {
		return failed(err)
	}
	if f.stats {
		t.printTotals()
	}
	if worst, any := d.Failing(); any && f.failOn.set && worst >= f.failOn.severity {
		return &exitError{code: exitFailOn}
	}
	return nil
}

// side reads all that an argument names: traces, reports, or both. All of it
// must be readable: what is missing would seem to be gone.
func (t *tool) side(ctx context.Context, arg string, s *settings) (*detectors.Report, error) {
	names, err := inputs(ctx, []string{arg})
	if err != nil {
		return nil, err
	}
	reports, traces, err := savedReports(names)
	if err != nil {
		return nil, err
	}
	results, unreadable, err := t.readAll(ctx, traces, s)
	if err != nil {
		return nil, err
	}
	if unreadable {
		return nil, fmt.Errorf("%s: cannot compare: not all of it could be read", arg)
	}
	if len(results) > 0 {
		reports = append(reports, detectors.Collect(results, readBuild().version))
	}
	joined := detectors.JoinReports(reports)
	joined.Tool = detectors.Tool{Name: "tracedoc", Version: cmp.Or(joined.Tool.Version, readBuild().version)}
	return joined, nil
}

// savedReports reads the files that hold reports; the others are traces.
func savedReports(names []string) (reports []*detectors.Report, traces []string, err error) {
	for _, name := range names {
		report, err := reportIn(name)
		if err != nil {
			return nil, nil, err
		}
		if report != nil {
			reports = append(reports, report)
		} else {
			traces = append(traces, name)
		}
	}
	return reports, traces, nil
}

// reportIn reads a file that holds a report; nil if it holds something else.
func reportIn(name string) (*detectors.Report, error) {
	st, err := os.Stat(name)
	if err != nil || !st.Mode().IsRegular() {
		return nil, nil // whatever it is, it is opened as a trace, which tells what is wrong
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil // likewise
	}
	defer func() { _ = f.Close() }() // it was only read from
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head) // a shorter file is no error
	if !bytes.HasPrefix(bytes.TrimSpace(head[:n]), []byte("{")) {
		return nil, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", name, reason(err))
	}
	report, err := detectors.ReadReport(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return report, nil
}
