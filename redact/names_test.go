package redact

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
)

func TestFunctions(t *testing.T) {
	n := newNames()
	for _, test := range []struct{ name, want string }{
		{"example.com/shop.(*Cart).Total", "pkg1.(*T1).f1"},
		{"example.com/shop.(*Cart).Total.func1.2", "pkg1.(*T1).f1.func1.2"},
		{"example.com/shop.(*Cart).Total.gowrap1", "pkg1.(*T1).f1.gowrap1"},
		{"example.com/shop.Cart.String", "pkg1.T1.f2"},
		{"example.com/shop.(*Cart).Total-fm", "pkg1.(*T1).f1-fm"},
		{"example.com/shop.Each-range1", "pkg1.f3-range1"},
		{"example.com/shop.Map[...]", "pkg1.f4[...]"},
		{"example.com/shop.Map[go.shape.struct { example.com/secret.T }].func1", "pkg1.f4[...].func1"},
		{"example.com/shop.(*List[...]).Add", "pkg1.(*T2[...]).f5"},
		{"example.com/shop.init.0", "pkg1.init.0"},
		{"example.com/shop_test.TestCart", "pkg1_test.Test1"},
		{"example.com/shop_test.TestCart.func1", "pkg1_test.Test1.func1"},
		{"main.main", "main.main"},
		{"main.main.func2", "main.main.func2"},
		{"main.run", "main.f6"},
		{"github.com/lib/pq.(*conn).recv", "pkg2.(*T3).f7"},
		{"gopkg.in/yaml%2ev3.Unmarshal", "pkg3.f8"},
		{"internal/billing.Charge", "pkg4.f9"}, // a module of that name, not the standard library
		{"main.Größe", "main.f10"},
		{"main.a b\x00c", "main.f11"},
		{"C_function", "f12"},
		{"", ""},
	} {
		if got := n.fn(test.name); got != test.want {
			t.Errorf("%q: %q, want %q", test.name, got, test.want)
		}
		if got := n.fn(test.name); got != test.want {
			t.Errorf("%q, again: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFrames(t *testing.T) {
	n := newNames()
	for _, test := range []struct{ frame, want detectors.Frame }{
		{detectors.Frame{Func: "example.com/shop.Total", File: "/home/alice/shop/cart.go", Line: 7}, detectors.Frame{Func: "pkg1.f1", File: "pkg1/file1.go", Line: 7}},
		{detectors.Frame{Func: "example.com/shop.TestX", File: `C:\Users\alice\shop\cart_test.go`}, detectors.Frame{Func: "pkg1.Test1", File: "pkg1/file1_test.go"}},
		{detectors.Frame{Func: "net/http.(*conn).serve", File: "/home/alice/sdk/go1.26/src/net/http/server.go", Line: 9}, detectors.Frame{Func: "net/http.(*conn).serve", File: "net/http/server.go", Line: 9}},
		{detectors.Frame{Func: "time.Sleep", File: "runtime/time.go"}, detectors.Frame{Func: "time.Sleep", File: "runtime/time.go"}},
		{detectors.Frame{Func: "net/http.(*secret).f", File: "/home/alice/http/x.go"}, detectors.Frame{Func: "net/http.(*T1).f2", File: "net/http/file2.go"}}, // it is not the standard library's
	} {
		got := n.frame(test.frame)
		if got != test.want {
			t.Errorf("%v: %v, want %v", test.frame, got, test.want)
		}
	}
}

func TestTexts(t *testing.T) {
	n := newNames()
	total := detectors.Frame{Func: "example.com/shop.(*Cart).Total", File: "/src/shop/cart.go", Line: 46}
	n.learnFrame(total)
	n.learnFrame(detectors.Frame{Func: "example.com/shop.find", File: "/src/shop/find.go", Line: 3})
	n.learnFrame(detectors.Frame{Func: "net/http.(*Client).Do", File: "/go/src/net/http/client.go", Line: 592})
	n.phrase("load the user's cart", func() string { return n.ident("load the user's cart", "name") })
	n.phrase("say \"hi\"\n", func() string { return n.ident("say", "name") })
	n.phrase("lock", func() string { return "never" })
	n.phrase("/tmp/my traces/a.trace", func() string { return n.ident("x", "trace") })
	for _, test := range []struct{ text, want string }{
		{"12 goroutines wait for the lock at cart.go:46, 4.4s in all (98%).", "12 goroutines wait for the lock at file1.go:46, 4.4s in all (98%)."},
		{"(*Cart).Total holds Cart.mu since cart.go:40", "(*T1).f1 holds T1.name3 since file1.go:40"},
		{"(*Cart).Total's caller", "(*T1).f1's caller"},
		{"shop.find waits, then shop.other", "pkg1.f2 waits, then pkg1.name4"},
		{"(*Client).Do and net/http.(*conn).serve at client.go:592", "(*Client).Do and net/http.(*conn).serve at client.go:592"},
		{"G27 waits in sync.(*Mutex).Lock, 1m30.5s of 12,345", "G27 waits in sync.(*Mutex).Lock, 1m30.5s of 12,345"},
		{`one task: "load the user's cart" of "nobody"`, `one task: "name1" of "name5"`},
		{"in load the user's cart: nothing", "in name1: nothing"},
		{`the task "say \"hi\"\n"`, `the task "name2"`},
		{"/tmp/my traces/a.trace: the trace is not complete", "trace1: the trace is not complete"},
		{"10.0.0.1:8080 and https://db.example.com:5432/x?y=z", "name6 and name7"},
		{"fe80::1%eth0 v1.2.3 2026-11-26", "name8 name9 2026-11-26"},
		{"payroll", "name10"},
		{"Größe überall", "name11 name12"},
		{"", ""},
	} {
		got := n.text(test.text)
		if got != test.want {
			t.Errorf("%q:\n got %q\nwant %q", test.text, got, test.want)
		}
	}
}

const secret = "s3cr3tz"

// hostile are texts that try to get out.
var hostile = []string{
	secret, "main." + secret, "a " + secret + " b", "\"" + secret + "\"", "\"" + secret, secret + "\"x", "\n" + secret + "\x00", secret + " waits for the lock",
	"example.com/" + secret + "/x.F", "/home/" + secret + "/main.go", `C:\` + secret + `\x.go:12`, "https://" + secret + "/x", secret + "@host", "(*" + secret + ").Run",
	"net/http." + secret + " x", "x[" + secret + "]", "%2e" + secret + "%2e", "“" + secret + "”", secret + "'s", "lock-" + secret, "keep-" + secret + "-alive", "go1.26" + secret,
	strings.Repeat("(", 50) + secret + strings.Repeat(")", 50), "`" + secret + "`", "…" + secret + "…", secret + ":5", secret + ".go:7", "\\\"" + secret, "\xff" + secret + "\xfe", "v1.2.3-" + secret + "/",
}

// fill gives every field of a value something, strings the text.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), text)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text)
		fill(value, text)
		v.SetMapIndex(key, value)
	}
}

// No field lets a text through that is not ours, also none that is added later.
func TestHostileTexts(t *testing.T) {
	for _, text := range hostile {
		var r detectors.Report
		fill(reflect.ValueOf(&r).Elem(), text)
		r.Findings[0].Title = "the goroutine " + text + " waits for " + text + ", which " + detectors.Short(text) + " holds at " + r.Findings[0].Site.Where()
		r.Findings[0].Detail = fmt.Sprintf("one task: %q of %q", text, "x"+text)
		check(t, text, Report(&r, nil))
		check(t, text, Report(&r, []string{text}))
		var d gate.Diff
		fill(reflect.ValueOf(&d).Elem(), text)
		check(t, text, Diff(&d, nil))
	}
}

func check(t *testing.T, text string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%+v %s", v, data); strings.Contains(s, secret) {
		i := strings.Index(s, secret)
		t.Errorf("%q is left: …%s…", text, s[max(0, i-60):min(len(s), i+60)])
	}
}

// Two findings in one function are seen to be in one function, and what is equal stays equal.
func TestConsistent(t *testing.T) {
	site := detectors.Frame{Func: "example.com/shop.(*Cart).Total", File: "/src/cart.go", Line: 7}
	r := &detectors.Report{Findings: []detectors.Finding{
		{Fingerprint: "aa", Site: site, Title: "(*Cart).Total waits at cart.go:7", Tests: []string{"TestA/b c", "TestB"}},
		{Fingerprint: "aa", Site: site, Title: "(*Cart).Total sleeps", Detail: "in TestA/b c", Source: []detectors.SourceLine{{Text: "x := y"}}},
		{Fingerprint: "bb", Site: detectors.Frame{Func: "example.com/other.(*Cart).Total"}},
	}}
	before := fmt.Sprintf("%+v", r)
	hidden := Report(r, nil)
	f := hidden.Findings
	if f[0].Site != f[1].Site || f[0].Title != "(*T1).f1 waits at file1.go:7" || f[1].Title != "(*T1).f1 sleeps" {
		t.Errorf("%+v", f)
	}
	if f[0].Fingerprint != f[1].Fingerprint || f[0].Fingerprint == f[2].Fingerprint || f[0].Fingerprint == "aa" || len(f[0].Fingerprint) != 16 {
		t.Errorf("fingerprints %q, %q, %q", f[0].Fingerprint, f[1].Fingerprint, f[2].Fingerprint)
	}
	if again := Report(r, nil); again.Findings[0].Fingerprint == f[0].Fingerprint {
		t.Error("the fingerprint can be reckoned from the real one")
	}
	if f[0].Tests[0] != "Test1/sub1" || f[0].Tests[1] != "Test2" || f[1].Detail != "in Test1/sub1" {
		t.Errorf("tests %q, %q", f[0].Tests, f[1].Detail)
	}
	if f[0].Site.Func == f[2].Site.Func {
		t.Error("two packages have become one")
	}
	if len(f[1].Source) != 0 || fmt.Sprintf("%+v", r) != before {
		t.Error("source is left, or the original was changed")
	}
}
