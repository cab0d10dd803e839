//go:build !linux

package traceload

import "os"

// wantLargePages does nothing: there are none to ask for.
func wantLargePages([]byte) {}

// mapFile returns nil: files are read into buffers.
func mapFile(*os.File, int) []byte { return nil }

func unmapFile([]byte) error { return nil }

func populate([]byte, int, int) error { return nil }

func forget([]byte, int, int) {}
