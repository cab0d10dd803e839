//go:build unix

package source

import (
	"syscall"
	"testing"
)

// pipe makes a named pipe: opening it would wait for a writer.
func pipe(t *testing.T, name string) {
	if err := syscall.Mkfifo(name, 0o644); err != nil {
		t.Log("no named pipe:", err)
	}
}
