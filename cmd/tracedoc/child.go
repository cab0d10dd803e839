package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// child is a command that record runs. It has a process group of its own: an
// interrupt at the terminal comes to us alone, and reaches the command when the
// recording is ready for it.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; to be read after done
}

// How long a command may take to end after it was interrupted, and how long
// what it started may hold its output open.
const (
	childGrace  = 30 * time.Second
	childOutput = 2 * time.Second
)

// start runs a command with further variables in its environment.
func (t *tool) start(args []string, stdout io.Writer, variables ...string) (*child, error) {
	c := &child{cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = stdout, t.stderr
	if f, ok := t.stdin.(*os.File); ok {
		// A terminal stops whoever reads from it without being its foreground group.
		if _, terminal := terminal(f); !terminal {
			c.cmd.Stdin = f
		}
	}
	c.cmd.Env = append(os.Environ(), variables...)
	c.cmd.WaitDelay = childOutput
	c.detach()
	if err := c.cmd.Start(); err != nil {
		var ee *exec.Error
		if errors.As(err, &ee) {
			err = ee.Err
		}
		return nil, fmt.Errorf("%s: cannot run it: %w", args[0], reason(err))
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// wait waits for the command to end. When ctx is done it is interrupted, once
// ready has returned; if it does not end then, or on a further interrupt, it is
// killed. ready may be nil.
func (c *child) wait(ctx context.Context, ready func(ctx context.Context)) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	ctx, stop := again(ctx)
	defer stop()
	if ready != nil {
		ready(ctx)
	}
	c.interrupt()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.kill()
	case <-time.After(childGrace):
		c.kill()
	}
	<-c.done
	return c.err
}

// programOutput is where a command's standard output goes: to ours, unless a
// report does.
func (t *tool) programOutput(outputs []*output) io.Writer {
	for _, o := range outputs {
		if o.shown() {
			return t.stderr
		}
	}
	return t.stdout
}

// outcome says how a command ended: "exit status 3".
func outcome(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ProcessState.String()
	}
	return strings.TrimSpace(err.Error())
}
