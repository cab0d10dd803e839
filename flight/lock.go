package flight

import (
	"os"
	"time"
)

// removeOld removes a file that nobody has written to for far longer than writing
// a snapshot may take.
func removeOld(path string) {
	if st, err := os.Stat(path); err == nil && time.Since(st.ModTime()) > time.Hour {
		_ = os.Remove(path)
	}
}
