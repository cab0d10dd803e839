//go:build !unix

package flight

import (
	"os"
	"syscall"
)

const quitSignal = syscall.Signal(3) // never comes

func signalByName(string) (os.Signal, bool) { return nil, false }

func raiseQuit() {}
