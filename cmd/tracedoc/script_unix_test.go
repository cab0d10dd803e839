//go:build unix

package main

import (
	"os"
	"syscall"
)

// signalToSnapshot returns the signal of that name.
func signalToSnapshot(name string) []os.Signal {
	if name == snapshotSignal {
		return []os.Signal{syscall.SIGUSR1}
	}
	return []os.Signal{os.Kill} // which nobody can be told of
}
