package browsertest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const root = "../.."

// build makes the command.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tracedoc")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/tracedoc")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// analyze writes the HTML report of a trace; both names are from the root of the repository, or absolute.
func analyze(bin, trace, report string) error {
	cmd := exec.Command(bin, "analyze", "-f", "html", "-o", report, trace)
	cmd.Dir = root // where the source is
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", trace, err, stderr.String())
	}
	return nil
}

// fixtures returns a trace of every recorded defect, of the newest version it was recorded with.
func fixtures(t *testing.T) []string {
	t.Helper()
	list, err := fs.Glob(os.DirFS(root), "fixtures/*/defect/go1.26.trace.zst")
	if err != nil || len(list) < 50 {
		t.Fatalf("only %d recorded defects: %v", len(list), err)
	}
	return list
}

// Every recorded defect has a report that can be gone through with the keyboard.
func TestReports(t *testing.T) {
	b := open(t)
	bin, dir := build(t), t.TempDir()
	traces := fixtures(t)
	if testing.Short() {
		traces = traces[:10]
	}
	type made struct {
		report string
		err    error
	}
	results := make([]chan made, len(traces))
	var next sync.Mutex
	at := 0
	for i := range results {
		results[i] = make(chan made, 1)
	}
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for {
				next.Lock()
				i := at
				at++
				next.Unlock()
				if i >= len(traces) {
					return
				}
				m := made{report: filepath.Join(dir, fmt.Sprint(i, ".html"))}
				m.err = analyze(bin, traces[i], m.report)
				results[i] <- m
			}
		}()
	}
	opened, scenes, graphs, curves := 0, 0, 0, 0
	for i, trace := range traces {
		m := <-results[i]
		name := filepath.Base(filepath.Dir(filepath.Dir(trace)))
		t.Run(name, func(t *testing.T) {
			if m.err != nil {
				t.Fatal(m.err)
			}
			defer os.Remove(m.report)
			walk(t, b, m.report)
			opened++
			scenes += eval[int](b, `document.querySelectorAll('figure canvas[role=img]').length`)
			graphs += eval[int](b, `document.querySelectorAll('.graph').length`)
			curves += eval[int](b, `document.querySelectorAll('article .chart').length`)
		})
	}
	if opened > 100 && (scenes < 100 || graphs < 10 || curves < 20) {
		t.Errorf("in %d reports only %d timelines, %d graphs and %d curves", len(traces), scenes, graphs, curves)
	}
}

// walk goes through a report as a reader would who has no mouse.
func walk(t *testing.T, b *tab, report string) {
	outer := b.t
	b.t = t
	defer func() { b.t = outer }()
	b.size(1240, 900)
	b.load(report)
	n := eval[int](b, `document.querySelectorAll('article').length`)
	if n == 0 {
		t.Fatal("no finding")
	}
	b.until(painted + `(document.querySelector('main'))`)
	for i := range n {
		b.key("j")
		const current = `document.querySelector('article.current')`
		if got, want := eval[string](b, current+`?.id ?? ''`), fmt.Sprint("finding-", i+1); got != want {
			t.Fatalf("after j the current finding is %q, want %q", got, want)
		}
		if !eval[bool](b, `(box => box.top >= 0 && box.top < innerHeight / 2 || scrollY + innerHeight >= document.body.scrollHeight - 2)(`+current+`.getBoundingClientRect())`) {
			t.Errorf("finding %d is not in sight", i+1)
		}
		if eval[bool](b, current+`.contains(document.activeElement)`) == false {
			t.Errorf("finding %d has not the focus", i+1)
		}
		if eval[bool](b, current+`.querySelector('.zoomable') === null`) {
			continue
		}
		whole := current + `.querySelector('.tools button:last-child').disabled`
		if !eval[bool](b, whole) {
			t.Errorf("finding %d is zoomed before anybody asked", i+1)
		}
		b.key("+", "+", kb.ArrowRight)
		if eval[bool](b, whole) {
			t.Errorf("finding %d: + does not zoom", i+1)
		}
		b.key("-", "0")
		if !eval[bool](b, whole) {
			t.Errorf("finding %d: 0 does not show the whole", i+1)
		}
		b.do(current + `.querySelector('.zoomable').scrollIntoView({block: 'center'})`)
		b.until(painted + `(` + current + `)`)
		timeline := current + `.querySelector('.zoomable:has(canvas[role=img])')`
		if eval[bool](b, timeline+` !== null`) {
			b.do(timeline + `.focus()`)
			b.key(kb.ArrowDown, ".", ",")
			if text := eval[string](b, timeline+`.parentElement.querySelector('.readout').textContent`); !strings.HasPrefix(text, "G") {
				t.Errorf("finding %d: keys in the picture tell %q", i+1, text)
			}
		}
		b.key("e")
		if eval[bool](b, `[...`+current+`.querySelectorAll('details')].some(d => !d.open)`) {
			t.Errorf("finding %d: e does not unfold", i+1)
		}
	}
	if n > 1 {
		b.key("k")
		if got, want := eval[string](b, `document.querySelector('article.current').id`), fmt.Sprint("finding-", n-1); got != want {
			t.Errorf("after k the current finding is %q, want %q", got, want)
		}
	}

	b.key("/")
	detector := strings.TrimSpace(strings.Split(strings.Split(eval[string](b, `document.querySelector('article:last-of-type .kicker span:nth-child(2)').textContent`), "·")[1], "/")[0])
	b.enter(detector)
	if got := eval[string](b, `document.querySelector('.status').textContent`); !strings.Contains(got, " of ") || strings.HasPrefix(got, "0 ") {
		t.Errorf("a search for %s tells %q", detector, got)
	}
	b.enter("xyzzy")
	if got := eval[int](b, `[...document.querySelectorAll('article')].filter(a => !a.hidden).length`); got != 0 {
		t.Errorf("%d findings hold xyzzy", got)
	}
	b.key(kb.Escape)
	if got := eval[int](b, `[...document.querySelectorAll('article')].filter(a => !a.hidden).length`); got != n {
		t.Errorf("after the search %d of %d findings are there", got, n)
	}

	theme := eval[string](b, `document.documentElement.dataset.theme`)
	b.key("t")
	if eval[string](b, `document.documentElement.dataset.theme`) == theme {
		t.Error("t does not change the theme")
	}
	b.key("t", "?")
	if !eval[bool](b, `document.querySelector('dialog').open`) {
		t.Error("? does not help")
	}
	b.key(kb.Escape)
	b.until(`!document.querySelector('dialog').open`)

	b.size(400, 800)
	if width := eval[int](b, `document.documentElement.scrollWidth`); width > 400 {
		t.Errorf("on a screen of 400 pixels the page is %d wide", width)
	}
	for _, trouble := range b.quiet() {
		t.Error(trouble)
	}
}

// Of several traces, the worst finding's is shown, and the others when they are unfolded.
func TestSeveralTraces(t *testing.T) {
	b := open(t)
	report := filepath.Join(t.TempDir(), "report.html")
	traces := fixtures(t)[:5]
	cmd := exec.Command(build(t), append([]string{"analyze", "-f", "html", "-o", report}, traces...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.load(report)
	overviews := func(want int) {
		t.Helper()
		if n := eval[int](b, `document.querySelectorAll('.overview').length`); n != want {
			t.Errorf("%d traces are drawn, want %d", n, want)
		}
	}
	overviews(1)
	worst := eval[string](b, `document.querySelector('article dl').textContent`)
	if source := eval[string](b, `document.querySelector('.trace strong').textContent`); !strings.Contains(worst, source) {
		t.Errorf("%s is shown, the worst finding is about %s", source, worst)
	}
	b.do(`document.querySelectorAll('main > details').forEach(d => d.open = true)`)
	b.until(`document.querySelectorAll('main > details > details').length === 4`)
	b.do(`document.querySelectorAll('main > details > details').forEach(d => d.open = true)`)
	b.until(`document.querySelectorAll('.overview').length === 5`)
	b.do(`document.querySelectorAll('main > details > details').forEach(d => d.open = false)`)
	b.do(`document.querySelectorAll('main > details > details').forEach(d => d.open = true)`)
	time.Sleep(50 * time.Millisecond)
	overviews(5)
	for _, trouble := range b.quiet() {
		t.Error(trouble)
	}
}

// On paper, what matters is unfolded, the picture of every finding is there, and
// afterwards all is as it was.
func TestPrint(t *testing.T) {
	b := open(t)
	report := filepath.Join(t.TempDir(), "report.html")
	if err := analyze(build(t), "fixtures/goroutine-leak-chan-send/defect/go1.26.trace.zst", report); err != nil {
		t.Fatal(err)
	}
	b.scheme("dark")
	b.load(report)
	folded := `document.querySelectorAll('details:not([open])').length`
	before := eval[int](b, folded)
	b.do(`dispatchEvent(new Event('beforeprint'))`)
	if eval[int](b, `document.querySelectorAll('details.printed:not([open])').length`) != 0 || eval[int](b, `document.querySelectorAll('details.printed').length`) == 0 {
		t.Error("the repair is not unfolded")
	}
	if got := eval[string](b, `document.documentElement.dataset.theme`); got != "light" {
		t.Errorf("it prints %s", got)
	}
	if !eval[bool](b, `[...document.querySelectorAll('canvas')].every(c => c.width > 0)`) {
		t.Error("there are pictures that are not drawn")
	}
	b.do(`dispatchEvent(new Event('afterprint'))`)
	if got := eval[int](b, folded); got != before || eval[string](b, `document.documentElement.dataset.theme`) != "dark" {
		t.Errorf("after printing %d are folded, before %d were", got, before)
	}
	pdf := run(b, chromedp.PrintToPDF(chromedp.PDFPrintBackground()))
	if !bytes.HasPrefix(pdf, []byte("%PDF")) || len(pdf) < 20_000 {
		t.Errorf("a PDF of %d bytes", len(pdf))
	}
	for _, trouble := range b.quiet() {
		t.Error(trouble)
	}
}
