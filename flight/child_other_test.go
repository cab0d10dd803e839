//go:build !unix

package flight

var children map[string]func() // there are no such signals
