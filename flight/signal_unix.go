//go:build unix

package flight

import (
	"os"
	"syscall"
)

const quitSignal = syscall.SIGQUIT

// signalsByName are those by which tracedoc record may ask for a snapshot.
func signalByName(name string) (os.Signal, bool) {
	s, ok := map[string]syscall.Signal{
		"SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2, "SIGQUIT": syscall.SIGQUIT, "SIGHUP": syscall.SIGHUP,
	}[name]
	return s, ok
}

func raiseQuit() { _ = syscall.Kill(os.Getpid(), syscall.SIGQUIT) }
