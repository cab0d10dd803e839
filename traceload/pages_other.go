//go:build !linux

package traceload

// wantLargePages does nothing: there are none to ask for.
func wantLargePages([]byte) {}
