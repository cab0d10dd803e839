// Command tracedoc reads what runtime/trace recorded and says, in ranked
// findings, what is wrong with a Go program's concurrency.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/render"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// The exit statuses of the contract.
const (
	exitDone   = 0 // the report is written
	exitFailOn = 1 // the report is written, and --fail-on or --fail-on-incomplete was met
	exitUsage  = 2 // wrong usage, or the input could not be read, or the output not written
)

// run is the whole command. It ends early when ctx does, or on an interrupt.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := &tool{stdin: stdin, stdout: stdout, stderr: stderr, env: env, detectors: suite.All(), began: time.Now()}
	root := t.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var status *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		if status.err != nil {
			t.complain(status.err)
		}
		return status.code
	}
	// Whatever else comes back is cobra's, about the command line.
	t.complain(err)
	fmt.Fprintf(stderr, "Run '%s --help' to see how it is used.\n", cmd.CommandPath())
	return exitUsage
}

// exitError is a failure (or, without err, a mere verdict) that decides the exit status.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// failed is the failure of a command that was used as it is meant to be.
func failed(err error) error { return &exitError{exitUsage, err} }

// tool is what all commands share: the outside world, handed in.
type tool struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string
	detectors      []*detectors.Detector
	began          time.Time
}

// complain writes one line to standard error. The text may quote a file's or a
// server's words.
func (t *tool) complain(err error) {
	fmt.Fprintf(t.stderr, "tracedoc: %s\n", render.Printable(strings.Join(strings.Fields(err.Error()), " ")))
}

func (t *tool) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tracedoc",
		Short: "Says what is wrong with a Go program's concurrency, from what runtime/trace recorded",
		Example: `  tracedoc analyze trace.out
  tracedoc analyze 'http://localhost:6060/debug/pprof/trace?seconds=5'
  tracedoc explain goroutine-leak`,
		Args:                       t.noSuchCommand,
		RunE:                       func(*cobra.Command, []string) error { return errors.New("no command given") },
		Version:                    readBuild().String(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(t.stdin)
	root.SetOut(t.stdout)
	root.SetErr(t.stderr)
	root.AddCommand(t.analyzeCommand(), t.recordCommand(), t.diffCommand(), t.explainCommand(), t.detectorsCommand(), t.configCommand(), t.manCommand(), t.versionCommand())
	root.SetHelpCommand(helpCommand())
	return root
}

// noSuchCommand says what was probably meant.
func (t *tool) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%w: did you mean %q?", err, near[0])
	}
	if _, statErr := os.Stat(args[0]); statErr == nil || strings.Contains(args[0], "://") {
		return fmt.Errorf("%w: did you mean \"tracedoc analyze %s\"?", err, args[0])
	}
	return err
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("no help for %q: there is no such command", strings.Join(args, " "))
			}
			return about.Help()
		},
	}
}
