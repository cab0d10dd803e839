//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package flight

import (
	"os"
	"syscall"
)

// closeFirst: a file can be moved while it is open.
const closeFirst = false

// lock marks a file as one that a living process writes; the mark goes with the
// process. Not all file systems can: there, age tells.
func lock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }

// removeAbandoned removes a temporary file if no living process writes it, on
// whatever host or in whatever container, as far as the file system's locks go.
func removeAbandoned(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // and so unlocks it
	switch syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) {
	case nil:
		_ = os.Remove(path) // whoever has made it and not locked it yet will notice
	case syscall.EWOULDBLOCK:
	default:
		removeOld(path)
	}
}
