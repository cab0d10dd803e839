package source

import (
	"fmt"
	"strings"
	"testing"
)

func describeUses(u *Uses) string {
	text := u.Expr
	if u.Open != "" {
		return text + " open: " + u.Open
	}
	text += " of " + u.Home
	if u.Made && u.Buffer != 0 {
		text += fmt.Sprintf(" buffer %d", u.Buffer)
	}
	if u.Own {
		text += " own"
	}
	if u.Once {
		text += " once"
	}
	for _, op := range u.Ops {
		text += fmt.Sprintf("; %s %s", op.Func, op.Kind)
		for _, x := range op.Exits {
			text += " or " + x.Expr
		}
	}
	return text
}

func TestChanUses(t *testing.T) {
	tree := testTree(t, "testdata/uses")
	frames := map[string]Frame{}
	marks(t, "testdata/uses", "at", func(f Frame, name string) {
		if strings.HasSuffix(name, "-go") { // the comment stands in the literal already
			f.Func, _, _ = strings.Cut(f.Func, ".func")
		}
		frames[name] = f
	})
	pick := func(names string) (list []Frame) {
		for _, n := range strings.Fields(names) {
			f, ok := frames[n]
			if !ok {
				t.Fatalf("no frame %q", n)
			}
			list = append(list, f)
		}
		return list
	}
	tests := []struct {
		stack, created string
		want           string
		ends, ended    string // frames from where the wait can be ended, and from where it cannot
	}{
		{"ask-send", "ask-go", "answer of ask once; ask receives or ctx.Done()", "ask-go ask-select", "ask-late ask-send export-send"},
		{"verdict-send", "verdict-go", "verdicts of firstError buffer 1; firstError receives", "verdict-go verdict-receive", "verdict-send"},
		{"write-range", "export-go", "rows of export once; export sends", "export-go export-send", "export-after write-range"},
		{"generate-send", "generate-go consume-call", "c of consume once; a literal in generate closes; consume ranges", "consume-call consume-range", "consume-after"},
		{"consume-range", "", "in of generate; a literal in generate closes; a literal in generate sends", "generate-send", "consume-after"},
		{"kept", "", "c open: stored in b.c", "", ""},
		{"field", "", "b.c open: reached through b.c", "", ""},
		{"signals", "", "c open: passed to signal.Notify", "", ""},
		{"nobody", "", "c of nobody own", "", "nobody"},
		{"write-range", "pool-go", "rows open: known to a function that is returned by newFunc", "", ""},
		{"write-range", "handler-go", "rows open: known to a function that is returned by newHandler", "", ""},
		{"write-range", "service-go", "rows open: known to a function that is stored in a service", "", ""},
		{"write-range", "later-go", "rows open: known to a function that is passed to time.AfterFunc", "", ""},
		{"write-range", "queued-go", "rows open: known to a function that is sent on queue", "", ""},
		{"write-range", "once-go", "rows of atOnce once; a literal in atOnce sends; a literal in atOnce sends; a literal in atOnce sends", "once-sort", "once-after"},
		{"deferred-receive", "deferred-go", "c of deferred once; deferred closes", "deferred-after", "deferred-receive"},
	}
	for _, tt := range tests {
		uses, ok := tree.ChanUses(pick(tt.stack), pick(tt.created))
		if !ok || len(uses) != 1 {
			t.Errorf("%s: %d channels", tt.stack, len(uses))
			continue
		}
		if got := describeUses(uses[0]); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.stack, got, tt.want)
		}
		for _, f := range pick(tt.ends) {
			if !tree.Ends(uses[0], f) {
				t.Errorf("%s: cannot be ended from line %d", tt.stack, f.Line)
			}
		}
		for _, f := range pick(tt.ended) {
			if tree.Ends(uses[0], f) {
				t.Errorf("%s: can be ended from line %d", tt.stack, f.Line)
			}
		}
	}
	if _, ok := tree.ChanUses(pick("two"), nil); ok {
		t.Error("two statements in a line are taken for one")
	}
	if uses, _ := tree.ChanUses(pick("signals"), nil); !uses[0].Notified {
		t.Error("a channel of signals is not known as such")
	}
}
