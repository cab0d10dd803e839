package browsertest

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Read-only after flag parsing.
var (
	needBrowser = flag.Bool("need-browser", false, "fail if there is no browser, instead of skipping")
	pictures    = flag.String("pictures", "", "write the pictures of the documentation to this `folder`")
)

// tab is a browser's tab that hears of everything that goes wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string // console messages, exceptions, refused and attempted requests
}

// open starts a browser with one tab, which ends with the test.
func open(t *testing.T) *tab {
	t.Helper()
	path := os.Getenv("CHROME")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		if *needBrowser {
			t.Fatal("no Chromium or Chrome: install one, or name it in $CHROME")
		}
		t.Skip("no Chromium or Chrome to open reports with: install one, or name it in $CHROME")
	}
	ctx, stop := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1240, 900)))
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

func (b *tab) hear(ev any) {
	trouble := ""
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, a := range ev.Args {
			words = append(words, string(a.Value)+a.Description)
		}
		trouble = "console: " + strings.Join(words, " ")
	case *runtime.EventExceptionThrown:
		trouble = "exception: " + (&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error()
	case *log.EventEntryAdded: // policy violations, requests that fail
		trouble = fmt.Sprintf("%s: %s", ev.Entry.Source, ev.Entry.Text)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, "file:///") && !strings.HasPrefix(ev.Request.URL, "data:") || ev.Type != network.ResourceTypeDocument && !strings.HasPrefix(ev.Request.URL, "data:") {
			trouble = "request: " + ev.Request.URL
		}
	case *network.EventWebSocketCreated:
		trouble = "web socket: " + ev.URL
	}
	if trouble != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.troubles = append(b.troubles, trouble)
	}
}

// quiet returns what went wrong since the last call.
func (b *tab) quiet() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.troubles
	b.troubles = nil
	return list
}

// run runs an action and returns its value.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, time.Minute)
	defer stop()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression))
}

// do runs statements in the page.
func (b *tab) do(statements string) {
	b.t.Helper()
	eval[bool](b, `(() => { `+statements+`; return true })()`)
}

// until waits for an expression to become true.
func (b *tab) until(expression string) {
	b.t.Helper()
	for range 400 {
		if eval[bool](b, expression) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Errorf("not even after some seconds: %s", expression)
}

// key presses keys, one after the other.
func (b *tab) key(keys ...string) {
	b.t.Helper()
	for _, name := range keys {
		r, _ := utf8.DecodeRuneInString(name)
		k := kb.Keys[r]
		down := input.DispatchKeyEventParams{Type: kb.KeyDown, Key: k.Key, Code: k.Code, WindowsVirtualKeyCode: k.Windows}
		up := down
		up.Type = kb.KeyUp
		if k.Print { // with its text, the browser types it unless the page wants the key for itself
			down.Text = k.Text
		}
		for _, params := range []input.DispatchKeyEventParams{down, up} {
			if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, params); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// enter puts a text where the cursor is.
func (b *tab) enter(text string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		b.t.Fatal(err)
	}
}

// load opens a report and waits until its script has built the page.
func (b *tab) load(file string) {
	b.t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		b.t.Fatal(err)
	}
	run(b, chromedp.Navigate((&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()))
	b.until(`document.documentElement.dataset.ready === 'yes'`)
}

// size sets the size of the window.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	run(b, chromedp.EmulateViewport(width, height))
}

// scheme sets what the system prefers: light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, params); err != nil {
		b.t.Fatal(err)
	}
}

// painted tells whether all canvases in an element of the page that are in
// sight show more than one colour.
const painted = `(el => [...el.querySelectorAll('canvas')].every(c => {
	const box = c.getBoundingClientRect();
	if (box.bottom < 0 || box.top > innerHeight || box.width === 0) return true;
	if (c.width === 0 || c.height === 0) return false;
	const copy = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
	copy.drawImage(c, 0, 0, 300, 150);
	const d = new Uint32Array(copy.getImageData(0, 0, 300, 150).data.buffer);
	return d.some(v => v !== d[0]);
}))`
