package source

import (
	"slices"
	"strings"
	"testing"
)

func TestReaches(t *testing.T) {
	endings := map[string]Ending{"send": EndsSend, "receive": EndsReceive, "done": EndsWaitGroup, "cond": EndsCond, "perhaps": EndsPerhaps}
	names := []string{"done", "in", "out", "deep", "wg", "ready"}
	for range 3 { // the order in which functions are looked at does not matter
		tree := testTree(t, "testdata/reach")
		marks(t, "testdata/reach", "reaches", func(f Frame, text string) {
			for _, name := range names {
				for word, how := range endings {
					want := slices.Contains(strings.Fields(text), name+"/"+word)
					if how == EndsPerhaps && !want {
						continue // what ends a wait uses the name, too
					}
					if got := tree.Reaches(f, name, how); got != want {
						t.Errorf("line %d: %s by %s: %v", f.Line, name, word, got)
					}
				}
			}
			if tree.Reaches(f, "nowhere", EndsPerhaps) || tree.Reaches(f, "", EndsPerhaps) {
				t.Errorf("line %d: reaches what is not there", f.Line)
			}
		})
	}
}

// TestMayReach: a package is parsed only if it may have the name.
func TestMayReach(t *testing.T) {
	tree := testTree(t, "testdata/reach")
	f := Frame{Func: "reach.(*hub).stop", File: "testdata/reach/reach.go", Line: 17}
	if tree.Reaches(f, "nowhere", EndsReceive) || tree.Reaches(f, "takes", EndsReceive) || tree.Reaches(f, "calls", EndsPerhaps) || len(tree.packages) != 0 {
		t.Errorf("%d packages were parsed for names that none has", len(tree.packages))
	}
	if tree.Reaches(f, "wg", EndsCond) || tree.Reaches(f, "taken", EndsSend) {
		t.Error("what is not there is found")
	}
	if !tree.Reaches(f, "done", EndsReceive) || len(tree.packages) == 0 {
		t.Error("done is not found")
	}
}

func TestHasWord(t *testing.T) {
	for src, want := range map[string]bool{
		"package p; var done int":               true,
		"package p; var undone, done2, done_ T": false,
		"package p; var doneé T":                true, // perhaps
		"package p // done":                     false,
		"package p // it's done":                false,
		"package p /* done */":                  true, // perhaps
		"package p; var x = \"//\" + done":      true,
		"package p; var x = `\n// ` + done":     true,
		"package p; /*\n// */ var done int":     true,
		"package p; var x = '\"' // done":       true, // perhaps
		"package p; const done":                 true,
		"":                                      false,
	} {
		if got := hasWord([]byte(src), "done"); got != want {
			t.Errorf("%q: %v", src, got)
		}
	}
}

// FuzzHasWord: what is no identifier by a quick look is none.
func FuzzHasWord(f *testing.F) {
	for _, src := range []string{"package p; var done int", "// done", "`\n//` + done", "/*\n// */ done", `"//" + done`, "'\"' // done", "x //` done\n` done"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if hasIdentifier([]byte(src), "done") && !hasWord([]byte(src), "done") {
			t.Errorf("%q has the name", src)
		}
	})
}

// TestMayBeIn: whatever ends a wait has the words that are looked for first.
func TestMayBeIn(t *testing.T) {
	for _, tt := range []struct {
		src  string
		how  Ending
		want bool
	}{
		{"for v := range c {", EndsSend, true},
		{"<-c", EndsSend, true},
		{"c <- 1", EndsReceive, true},
		{"close(c)", EndsReceive, true},
		{"c.Close()", EndsReceive, false},
		{"c.Done()", EndsWaitGroup, true},
		{"c.Add(1) // Done", EndsWaitGroup, false},
		{"c.Signal()", EndsCond, true},
		{"c.\n\tBroadcast()", EndsCond, true},
		{"c.Wait() // SIGNAL, Signals", EndsCond, false},
		{"c", EndsPerhaps, true},
	} {
		if got := (wakeup{"c", tt.how}).mayBeIn([]byte(tt.src)); got != tt.want {
			t.Errorf("%q: %v", tt.src, got)
		}
	}
}
