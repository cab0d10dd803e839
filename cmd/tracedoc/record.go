package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/render"
)

// recordFlags are the flags of record.
type recordFlags struct {
	analyzeFlags
	length time.Duration // 0 if none was given
	keep   string        // where the traces go; "" for a name of ours
}

// serverLength is how long a server records if nobody says.
const serverLength = 5 * time.Second

func (t *tool) recordCommand() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record [flags] URL | record [flags] -- COMMAND [ARGUMENT...]",
		Short: "Record a trace of a server, of tests, or of a program, and find what is wrong",
		Long: `Record takes traces, keeps them, and reports on them as analyze does.

Of a server that imports net/http/pprof: "tracedoc record localhost:6060" asks
it for ` + serverLength.String() + `, or what --for says. The path /debug/pprof/trace is added, unless
the URL ends in /pprof or /pprof/trace.

Of tests: "tracedoc record -- go test ./..." runs go test with -trace for each
package that has tests, one after the other, so that they do not disturb each
other's traces. All other arguments reach go test as they are.

Of any program that uses the package flight: "tracedoc record -- ./server" runs
it until it ends, or for the time of --for, and analyses the snapshots that its
flight recorder took, and one more that is asked for at the end.

What the command prints goes to standard error, where the report has standard
output; if all reports go to files (--output), it goes to standard output.

An interrupt (Ctrl-C) ends the recording: what there is of the trace is kept
and analysed. A command is interrupted in turn; a second interrupt kills it.

The traces go to a new file or folder in the working directory, or to --trace,
which must not exist yet (a folder may be there if it is empty).

Exit status: 0 done; 1 done, and the command failed (or tests were interrupted),
or --fail-on or --fail-on-incomplete was met; 2 wrong usage, or no trace could be
had or read. If tests fail, it is 1 even if their traces could not be read.`,
		Example: `  tracedoc record localhost:6060
  tracedoc record --for 30s --fail-on high https://shop.example.com/internal
  tracedoc record -- go test -race ./...
  tracedoc record --trace traces -f markdown -o report.md -- go test -run Checkout ./shop
  tracedoc record --for 1m -- ./server -listen :8080`,
		RunE: func(cmd *cobra.Command, args []string) error { return t.record(cmd, args, &f) },
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if cmd.ArgsLenAtDash() >= 0 {
				return nil, cobra.ShellCompDirectiveDefault // files
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.DurationVar(&f.length, "for", 0, "record for this `TIME`, such as 10s (default "+serverLength.String()+" of a server, and a program until it ends)")
	flags.StringVar(&f.keep, "trace", "", "keep the trace of a server in this new `FILE`, those of a command in this new folder")
	f.addFlags(t, cmd)
	return cmd
}

// recording is what became of the attempt to record.
type recording struct {
	traces []string
	failed bool // the command that was traced failed, or did not get to its end
}

func (t *tool) record(cmd *cobra.Command, args []string, f *recordFlags) error {
	record, err := t.recorder(cmd, args, f)
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("for") && f.length <= 0 {
		return errors.New("--for must be more than nothing, such as 10s")
	}
	p, err := t.prepare(cmd, &f.analyzeFlags)
	if err != nil {
		return err
	}
	rec, err := record(cmd.Context(), p)
	if err != nil {
		if rec.failed {
			return &exitError{exitFailOn, err}
		}
		return failed(err)
	}
	// The interrupt that ended the recording does not end the analysis; the next does.
	ctx, stop := again(cmd.Context())
	defer stop()
	err = t.judge(ctx, rec.traces, &f.analyzeFlags, p)
	if rec.failed {
		var status *exitError
		errors.As(err, &status)
		return &exitError{code: exitFailOn, err: errors.Unwrap(orNothing(status))}
	}
	return err
}

func orNothing(e *exitError) error {
	if e == nil {
		return &exitError{}
	}
	return e
}

// recorder finds the way to record what the arguments name.
func (t *tool) recorder(cmd *cobra.Command, args []string, f *recordFlags) (func(context.Context, *plan) (recording, error), error) {
	switch dash := cmd.ArgsLenAtDash(); {
	case len(args) == 0:
		return nil, errors.New("nothing to record: name the URL of a server, or a command after --")
	case dash == 0 && isGoTest(args):
		if f.length != 0 {
			return nil, errors.New("--for is not for tests: they end by themselves, or by go test's -timeout")
		}
		test, err := parseGoTest(args)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, p *plan) (recording, error) { return t.recordTests(ctx, test, f, p) }, nil
	case dash == 0:
		return func(ctx context.Context, p *plan) (recording, error) { return t.recordProgram(ctx, args, f, p) }, nil
	case dash > 0:
		return nil, fmt.Errorf("name a server or a command, not both: %q stands before --", strings.Join(args[:dash], " "))
	}
	if st, err := os.Stat(args[0]); isGoTest(args) || err == nil && st.Mode().IsRegular() {
		if err == nil && len(args) == 1 && isTrace(cmd.Context(), args[0]) {
			return nil, fmt.Errorf("%s: is a trace already: did you mean \"tracedoc analyze %s\"?", args[0], args[0])
		}
		return nil, fmt.Errorf("a command stands after --: did you mean \"tracedoc record -- %s\"?", strings.Join(args, " "))
	}
	if len(args) > 1 {
		return nil, fmt.Errorf("name one server, not %d; a command stands after --", len(args))
	}
	u, length, err := traceURL(args[0], f.length)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ *plan) (recording, error) { return t.recordServer(ctx, u, length, f) }, nil
}

// again waits for the next interrupt after the one that may have ended ctx.
func again(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
}

// note tells the user what goes on, as a line of standard error.
func (t *tool) note(format string, args ...any) {
	fmt.Fprintf(t.stderr, "tracedoc: %s\n", render.Printable(fmt.Sprintf(format, args...)))
}

// newFolder makes the folder that traces go to, and returns its absolute path
// too, for programs that run elsewhere.
func (f *recordFlags) newFolder() (dir, abs string, err error) {
	dir = f.keep
	if dir == "" {
		dir = unused("traces", "")
	}
	err = os.MkdirAll(dir, 0o777)
	if err == nil {
		var entries []fs.DirEntry
		if entries, err = os.ReadDir(dir); len(entries) > 0 {
			err = errors.New("there is something in this folder already: name a new one")
		}
	}
	if err == nil {
		abs, err = filepath.Abs(dir)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: cannot keep traces: %w", dir, reason(err))
	}
	return dir, abs, nil
}

// unused returns a name that nothing in the working directory has.
func unused(about, suffix string) string {
	base := about + "-" + time.Now().Format("20060102-150405")
	name := base + suffix
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s-%d%s", base, i, suffix)
	}
}

// fileName makes a name for a file of any text, such as an import path.
func fileName(text string) string {
	return strings.Trim(noFileName.ReplaceAllString(text, "_"), "_.-")
}

var noFileName = regexp.MustCompile(`[^A-Za-z0-9.-]+`)
