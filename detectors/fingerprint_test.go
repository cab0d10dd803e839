package detectors

import "testing"

func TestStableName(t *testing.T) {
	known := packages{"/src/shop": {"main"}, "shop/queue": {"example.com/shop/queue", "example.com/shop/queue_test"}}
	tests := []struct{ fn, file, want string }{
		{"main.f", "", "main.f"},
		{"main.f.func1", "", "main.f"},
		{"main.f.func12.3", "", "main.f"},
		{"main.f.gowrap1", "", "main.f"},
		{"main.f.func2.deferwrap1", "", "main.f"},
		{"main.(*T).Run.func1", "", "main.(*T).Run"},
		{"main.(*T).Run-fm", "", "main.(*T).Run"},
		{"main.f-range1", "", "main.f"},
		{"main.Map[...].Get", "", "main.Map.Get"},
		{"example.com/v2.F[go.shape.int]", "", "example.com/v2.F"},
		{"example.com/v2.F[map[string][]example.com/x.T].func1", "", "example.com/v2.F"},
		{"example.com/x/v2.(*C[...]).f.func1", "", "example.com/x/v2.(*C).f"},
		// inlined into another function
		{"main.main.f.func3", "/src/shop/f.go", "main.f"},
		{"main.main.func1.f.2", "/src/shop/f.go", "main.f"},
		{"main.main.(*T).Run.func1.(*U).Do.func2", "/src/shop/f.go", "main.(*U).Do"},
		{"main.main.(*T).Run.func1.g.func2", "/src/shop/f.go", "main.g"},
		{"main.main.Send.func2", "shop/queue/q.go", "example.com/shop/queue.Send"},
		{"example.com/shop/queue_test.TestSend.func2", "shop/queue/q_test.go", "example.com/shop/queue_test.TestSend"},
		{"main.main.Send.func2", "/nobody/knows.go", "main.Send"},
		// nothing that a compiler would write
		{"", "", "."},
		{".func1", "", ".func1"},
		{"a]b[.func1", "", ".a]b"},
	}
	for _, test := range tests {
		if got := known.name(Frame{Func: test.fn, File: test.file}); got != test.want {
			t.Errorf("%q in %q is named %q, want %q", test.fn, test.file, got, test.want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	a := Finding{Detector: "d", Cause: "c", Site: Frame{"main.f.func1", "/a/f.go", 3}, Key: []string{"main.g.gowrap2"}}
	same := Finding{Detector: "d", Cause: "c", Site: Frame{"main.f.func7", "/b/renamed.go", 30}, Key: []string{"main.g.gowrap9"}, Impact: Impact{Goroutines: 7}}
	if fingerprint(&a, nil) != fingerprint(&same, nil) {
		t.Error("lines, files, ordinals and counts must not change the fingerprint")
	}
	for _, f := range []Finding{
		{Detector: "e", Cause: "c", Site: a.Site, Key: a.Key}, {Detector: "d", Cause: "x", Site: a.Site, Key: a.Key},
		{Detector: "d", Cause: "c", Site: Frame{Func: "main.h"}, Key: a.Key}, {Detector: "d", Cause: "c", Site: a.Site},
		{Detector: "d", Cause: "c", Site: Frame{Func: "main.(*T).f.func1"}, Key: a.Key},
	} {
		if fingerprint(&a, nil) == fingerprint(&f, nil) {
			t.Errorf("another problem has the same fingerprint: %+v", f)
		}
	}
}
