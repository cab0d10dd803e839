package flight

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

// watchSignals takes a snapshot for each signal that the options name.
func (r *Recorder) watchSignals() {
	if len(r.opt.Signals) == 0 {
		return
	}
	quit := slices.Contains(r.opt.Signals, os.Signal(quitSignal))
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, r.opt.Signals...)
	r.running.Go(func() {
		for {
			select {
			case <-r.ctx.Done():
				signal.Stop(ch)
				return
			case s := <-ch:
				_, err := r.ask(r.ctx, CauseSignal, fmt.Sprintf("signal %v", s))
				if limited := (*LimitedError)(nil); errors.As(err, &limited) {
					r.opt.Logger.Warn(limited.Error())
				}
				if quit && s == quitSignal {
					r.passOn(ch)
				}
			}
		}
	})
}

// passOn sends SIGQUIT again, for whoever else waits for it, and otherwise for the
// runtime, which ends the program.
func (r *Recorder) passOn(ch chan os.Signal) {
	signal.Stop(ch)
	raiseQuit()
	select { // still here: somebody else has taken it
	case <-time.After(time.Second):
	case <-r.ctx.Done():
		return
	}
	signal.Notify(ch, r.opt.Signals...)
}
