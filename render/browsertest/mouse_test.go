package browsertest

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// What keys do, a mouse does too.
func TestMouse(t *testing.T) {
	b := open(t)
	report := filepath.Join(t.TempDir(), "report.html")
	if err := analyze(build(t), "fixtures/chatty-handoff-ping-pong/defect/go1.26.trace.zst", report); err != nil {
		t.Fatal(err)
	}
	b.size(1240, 900)
	b.load(report)
	// A movement of exactly 0 is not sent, and the browser insists on both: so 0.01 it is.
	mouse := func(kind input.DispatchMouseEventType, x, y float64, more func(*input.DispatchMouseEventParams)) {
		t.Helper()
		params := input.DispatchMouseEventParams{Type: kind, X: x, Y: y}
		if more != nil {
			more(&params)
		}
		if _, err := chromedp.Call(b.ctx, input.DispatchMouseEvent, params); err != nil {
			t.Fatal(err)
		}
	}
	left := func(p *input.DispatchMouseEventParams) { p.Button, p.ClickCount = input.MouseButtonLeft, 1 }

	mark := `document.querySelector('.marks button').getBoundingClientRect()`
	x, y := eval[float64](b, mark+`.x + 4`), eval[float64](b, mark+`.y + 4`)
	mouse("mousePressed", x, y, left)
	mouse("mouseReleased", x, y, left)
	b.until(`document.activeElement.id === 'finding-1'`)

	const figure = `document.querySelector('article figure')`
	b.do(figure + `.scrollIntoView({block: 'center'})`)
	canvas := figure + `.querySelector('canvas').getBoundingClientRect()`
	x, y = eval[float64](b, canvas+`.x + 600`), eval[float64](b, canvas+`.y + 50`)
	whole := figure + `.querySelector('.tools button:last-child').disabled`
	readout := figure + `.querySelector('.readout').textContent`

	mouse("mouseMoved", x, y, nil)
	b.until(readout + `.startsWith('G')`)
	b.do(`window.before = scrollY`)
	mouse("mouseWheel", x, y, func(p *input.DispatchMouseEventParams) { p.DeltaX, p.DeltaY = 0.01, -100 })
	b.until(`scrollY < before`)
	if !eval[bool](b, whole) {
		t.Error("the wheel zooms a picture that nobody has clicked into")
	}
	b.do(figure + `.scrollIntoView({block: 'center'})`)
	mouse("mouseWheel", x, y, func(p *input.DispatchMouseEventParams) {
		p.DeltaX, p.DeltaY, p.Modifiers = 0.01, -300, int64(chromedp.ModifierCtrl)
	})
	b.until(`!` + whole)

	mouse("mouseMoved", x, y, nil)
	before := eval[string](b, readout)
	mouse("mousePressed", x, y, left)
	for dx := range 10 {
		mouse("mouseMoved", x-float64(dx)*12, y, func(p *input.DispatchMouseEventParams) { p.Button, p.Buttons = input.MouseButtonLeft, 1 })
	}
	mouse("mouseReleased", x-108, y, left)
	mouse("mouseMoved", x, y, nil)
	b.until(readout + ` !== ` + strconv.Quote(before))
	if !strings.HasPrefix(eval[string](b, readout), "G") {
		t.Error("dragging loses the goroutine under the pointer")
	}
	b.do(figure + `.querySelector('.tools button:last-child').click()`)
	b.until(whole)
	for _, trouble := range b.quiet() {
		t.Error(trouble)
	}
}
