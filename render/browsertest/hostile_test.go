package browsertest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
)

// attacks are texts that would set window.pwned if they were taken for markup,
// for script, or for the end of one.
var attacks = []string{
	`<script>window.pwned=1</script>`,
	`</script><script>window.pwned=1</script><!--`,
	`"><img src=x onerror="window.pwned=1"><svg onload="window.pwned=1">`,
	`</noscript></title></style><iframe srcdoc="<script>parent.pwned=1</script>">`,
	`javascript:window.pwned=1`,
	`${window.pwned=1}{{window.pwned=1}}' onfocus='window.pwned=1`,
	"\u2028window.pwned=1\u2029<!--<script>",
	`__proto__`,
	`constructor`,
}

// Whatever stands in a report, the page is the same and nothing of it runs.
func TestHostileReports(t *testing.T) {
	b := open(t)
	for i, text := range attacks {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var r detectors.Report
			fill(reflect.ValueOf(&r).Elem(), text)
			r.Findings[0].Rank = 1
			file := filepath.Join(t.TempDir(), "report.html")
			var out bytes.Buffer
			if err := render.HTML(&out, &r, render.Options{}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			harmless(t, b, file)
			if links := eval[int](b, `[...document.querySelectorAll('a[href]')].filter(a => !/^(https:|#)/.test(a.getAttribute('href'))).length`); links != 0 {
				t.Errorf("%d links lead elsewhere than to https", links)
			}
		})
	}
}

// harmless opens a report, unfolds all of it, and fails if anything ran or came
// into the page that its own script did not put there.
func harmless(t *testing.T, b *tab, file string) {
	outer := b.t
	b.t = t
	defer func() { b.t = outer }()
	b.load(file)
	b.key("j", "e", "+")
	b.do(`document.querySelectorAll('details').forEach(d => d.open = true)`)
	time.Sleep(50 * time.Millisecond) // for handlers of events
	if eval[bool](b, `'pwned' in window`) {
		t.Error("something of the report ran")
	}
	if n := eval[int](b, `document.querySelectorAll('img, svg, iframe, object, embed, form, base, script:not([id=report]), [onerror], [onload], [onclick], [onfocus]').length`); n != 1 {
		t.Errorf("%d elements that load or run something, want the page's own script alone", n)
	}
	for _, trouble := range b.quiet() {
		t.Error(trouble)
	}
}

// fill puts a text into every string of a report, and one element into each list.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Int, reflect.Int64:
		v.SetInt(0)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// A trace whose functions and files are called like scripts runs nothing.
func TestHostileTrace(t *testing.T) {
	b := open(t)
	packed, err := os.ReadFile(filepath.Join(root, "fixtures/lock-held-while-blocked-network/defect/go1.26.trace.zst"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	trace, err := d.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := "github.com/tracedoc/tracedoc/fixtures/lock-held-while-blocked-network/defect/main.go"
	for name, attack := range map[string]string{
		file:                `</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>`,
		"main.(*Rates).Get": `main.<b onload=x>`,
	} {
		if !bytes.Contains(trace, []byte(name)) {
			t.Fatalf("the trace does not name %s", name)
		}
		trace = bytes.ReplaceAll(trace, []byte(name), []byte(attack+strings.Repeat("x", len(name)-len(attack))))
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, `<img src=x onerror=window.pwned=1>.trace`), filepath.Join(dir, "report.html")
	if err := os.WriteFile(in, trace, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := analyze(build(t), in, out); err != nil {
		t.Fatal(err)
	}
	harmless(t, b, out)
	if !eval[bool](b, `document.body.textContent.includes('<script>window.pwned=1</script>')`) {
		t.Error("the name is not shown as it is: the test looks at something else")
	}
}

// Should a text ever get into the markup nevertheless, the policy in the file stops it.
func TestPolicy(t *testing.T) {
	b := open(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "report.html")
	var out bytes.Buffer
	if err := render.HTML(&out, &detectors.Report{Schema: detectors.Schema}, render.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	b.load(file)
	if troubles := b.quiet(); len(troubles) > 0 {
		t.Fatal(troubles)
	}
	attempts := map[string]string{
		"markup":         `document.body.innerHTML = '<img src=x onerror="window.pwned=1">'`,
		"script":         `(s => { s.textContent = 'window.pwned=1'; document.head.append(s) })(document.createElement('script'))`,
		"foreign script": `(s => { s.setAttribute('src', '` + server.URL + `/x.js'); document.head.append(s) })(document.createElement('script'))`,
		"image":          `(i => { i.src = '` + server.URL + `/x.png'; document.body.append(i) })(document.createElement('img'))`,
		"style":          `(s => { s.textContent = 'body { background: url(` + server.URL + `/x.png) }'; document.head.append(s) })(document.createElement('style'))`,
		"fetch":          `void fetch('` + server.URL + `').catch(() => {})`,
		"frame":          `(f => { f.setAttribute('src', '` + server.URL + `'); document.body.append(f) })(document.createElement('iframe'))`,
		"form":           `(f => { f.action = '` + server.URL + `'; document.body.append(f); f.submit() })(document.createElement('form'))`,
	}
	for name, script := range attempts {
		b.do(`try { ` + script + ` } catch (e) {}`)
		time.Sleep(100 * time.Millisecond)
		if eval[bool](b, `'pwned' in window`) {
			t.Errorf("%s: it ran", name)
		}
		if n := asked.Swap(0); n > 0 {
			t.Errorf("%s: %d requests", name, n)
		}
		if troubles := b.quiet(); len(troubles) == 0 {
			t.Errorf("%s: the browser had nothing against it", name)
		}
	}
}
