//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package flight

import "os"

// closeFirst: Windows moves no file that is open.
const closeFirst = true

func lock(*os.File) {}

// removeAbandoned removes a temporary file that nobody can be writing any more.
func removeAbandoned(path string) { removeOld(path) }
