package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestProfile checks that default.pgo, by which go build arranges the command, is a
// profile of what takes its time.
func TestProfile(t *testing.T) {
	f, err := os.Open("default.pgo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	var all, ours int64
	for _, s := range p.Sample {
		all += s.Value[0]
		if len(s.Location) > 0 && strings.HasPrefix(s.Location[0].Line[0].Function.Name, "github.com/tracedoc/tracedoc/") {
			ours += s.Value[0]
		}
	}
	if ours < all/2 {
		t.Errorf("%d of %d samples are in functions of this module", ours, all)
	}
}
