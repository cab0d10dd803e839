package browsertest

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// The pictures of the documentation are taken, not drawn:
//
//	go test . -run Pictures -pictures ../../docs
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("no -pictures folder is given")
	}
	b := open(t)
	bin, dir := build(t), t.TempDir()
	for _, p := range []struct {
		name, fixture, scheme string
		width                 int64
		from, to              string // elements of the page: the upper edge of one to the lower edge of the other
	}{
		{"report", "lock-held-while-blocked-network", "light", 1040, "header", "article figure"},
		{"report-deadlock-dark", "deadlock-lock-order-three", "dark", 1040, "article", "article figure:last-of-type"},
		{"report-narrow", "deadlock-lock-order-three", "light", 400, "article", "article figure:last-of-type"},
		{"report-handoff", "chatty-handoff-ping-pong", "light", 1040, "article figure", "article figure"},
		{"report-growth", "goroutine-growth-unbounded", "light", 1040, "article figure", "article figure:last-of-type"},
	} {
		report := filepath.Join(dir, p.name+".html")
		if err := analyze(bin, "fixtures/"+p.fixture+"/defect/go1.26.trace.zst", report); err != nil {
			t.Fatal(err)
		}
		b.scheme(p.scheme)
		b.size(p.width, 3000)
		b.load(report)
		b.until(painted + `(document.body)`)
		time.Sleep(300 * time.Millisecond)
		edge := func(selector, side string) float64 {
			return eval[float64](b, `scrollY + document.querySelector('`+selector+`').getBoundingClientRect().`+side)
		}
		top, bottom := max(0, edge(p.from, "top")-12), edge(p.to, "bottom")+12
		shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Clip: &page.Viewport{Y: top, Width: float64(p.width), Height: bottom - top, Scale: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(shot.Data))
		if err != nil {
			t.Fatal(err)
		}
		var small bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*pictures, p.name+".png"), small.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
