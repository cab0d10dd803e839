package locks

import "testing"

func TestClosureOf(t *testing.T) {
	for _, tt := range []struct {
		fn, outer string
		want      bool
	}{
		{"main.(*S).Put.func1", "main.(*S).Put", true},
		{"main.(*S).Put.func1.2", "main.(*S).Put", true},
		{"main.(*S).Put", "main.(*S).Put", false},
		{"main.(*S).PutAll.func1", "main.(*S).Put", false},
	} {
		if got := closureOf(tt.fn, tt.outer); got != tt.want {
			t.Errorf("closureOf(%q, %q) = %v", tt.fn, tt.outer, got)
		}
	}
}
