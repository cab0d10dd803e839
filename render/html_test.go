package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// withoutAssets leaves out of an HTML report what is the same in all of them,
// which would change every golden file with every change of the page's look.
func withoutAssets(out string) string {
	return strings.NewReplacer(reportScript, "(the script)", reportStyle, "(the style)", hashOf(reportScript), "(its hash)", hashOf(reportStyle), "(its hash)").Replace(out)
}

// Of the sources, nothing but npm can make the files that are embedded; that
// they are made of these very sources can be seen without it.
func TestHTMLAssetsAreOfTheSources(t *testing.T) {
	files, err := filepath.Glob("html/src/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"build.mjs", "package.json", "package-lock.json", "tsconfig.json"} {
		files = append(files, "html/"+name)
	}
	slices.Sort(files)
	sum := sha256.New()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%s %d\n", strings.TrimPrefix(filepath.ToSlash(file), "html/"), len(data))
		sum.Write(data)
	}
	want, err := os.ReadFile("html/dist/sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != strings.TrimSpace(string(want)) {
		t.Error("html/dist is older than html/src; run: go generate ./render")
	}
}

// What could load or run something else is not even in the script.
func TestHTMLAssetsAskForNothing(t *testing.T) {
	for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon", "import(", "new Image", "</script", "<!--"} {
		if strings.Contains(reportScript, word) {
			t.Errorf("the script contains %q", word)
		}
	}
	for _, word := range []string{"url(", "@import", "</style", "<!--"} {
		if strings.Contains(reportStyle, word) {
			t.Errorf("the style contains %q", word)
		}
	}
	if strings.Contains(reportScript, "\r") || strings.Contains(reportStyle, "\r") {
		t.Error("a carriage return, which a browser would change before it takes the hash")
	}
}

var dataBlock = regexp.MustCompile(`(?s)<script type="application/json" id="report">(.*?)</script>`)

// checkHTML holds that data is data, and that there is no element or attribute
// that the page does not put there itself.
func checkHTML(t *testing.T, out string) {
	t.Helper()
	out = withoutAssets(out)
	blocks := dataBlock.FindAllStringSubmatch(out, -1)
	if len(blocks) != 1 || strings.Count(out, "<script") != 2 || strings.Count(out, "</script") != 2 {
		t.Fatalf("%d blocks of data, %d scripts", len(blocks), strings.Count(out, "<script"))
	}
	if strings.ContainsAny(blocks[0][1], "<>&\u2028\u2029") {
		t.Error("the data holds characters of markup")
	}
	var page sheet
	if err := json.Unmarshal([]byte(blocks[0][1]), &page); err != nil {
		t.Fatal(err)
	}
	for _, p := range page.Patterns {
		for _, link := range p.Links {
			if !strings.HasPrefix(link, "https://") {
				t.Errorf("a link to %q", link)
			}
		}
	}
	elements := []string{"body", "h1", "head", "html", "li", "link", "meta", "noscript", "ol", "p", "script", "style", "title"}
	attributes := []string{"charset", "content", "href", "http-equiv", "id", "lang", "name", "rel", "type"}
	d := xml.NewDecoder(strings.NewReader(dataBlock.ReplaceAllString(out, "")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(elements, start.Name.Local) {
			t.Errorf("an element %s", start.Name.Local)
		}
		for _, a := range start.Attr {
			if !slices.Contains(attributes, a.Name.Local) {
				t.Errorf("an attribute %s", a.Name.Local)
			}
		}
	}
}

// crowded is a report with n findings that are as large as findings get.
func crowded(n int) *detectors.Report {
	rnd := rand.New(rand.NewPCG(1, 2))
	frame := func(kind string, i int) detectors.Frame {
		return detectors.Frame{Func: fmt.Sprintf("example.com/company/services/checkout/internal/%s.(*Handler%d).Process.func%d", kind, i%300, i%3), File: fmt.Sprintf("example.com/company/services/checkout/internal/%s/handler_%d.go", kind, i%300), Line: i}
	}
	const length = 30 * time.Second
	r := &detectors.Report{Schema: detectors.Schema, Traces: []detectors.Trace{{
		Source: "captures/big.trace", Format: "go1.26", Duration: length, Bytes: 424_000_000, Events: 80_000_000, Goroutines: 3_000_000, Complete: true,
		Activity: &detectors.Activity{Step: length / 400},
	}}}
	reasons := []string{"sync", "chan send", "chan receive", "select", "network", "sleep", "sync.(*Cond).Wait", "forever", "", "system goroutine wait"}
	for i := range 40 {
		mean := make([]float64, 400)
		for j := range mean {
			mean[j] = float64(rnd.IntN(3_000_000)) / 1000
		}
		reason := fmt.Sprintf("%s %d", reasons[i%len(reasons)], i)
		r.Traces[0].Activity.States = append(r.Traces[0].Activity.States, detectors.StateCount{State: "waiting", Reason: reason, Mean: mean})
		r.Traces[0].Activity.Spent = append(r.Traces[0].Activity.Spent, detectors.Spent{State: "waiting", Reason: reason, Time: time.Duration(rnd.Int64N(1e13))})
	}
	for i := range n {
		f := detectors.Finding{
			Rank: i + 1, Detector: "lock-contention", Cause: "convoy", Family: detectors.Locks, Severity: detectors.Severity(4 - i*4/n), Confidence: 0.9,
			Title: fmt.Sprintf("(*Handler%d).Process waits for Handler.mu, which 120 goroutines queue for", i), Detail: strings.Repeat("It waits at handler.go:12 for what another does at handler.go:34. ", 10),
			Impact: detectors.Impact{Goroutines: 1000, Blocked: time.Hour, Occurrences: 123456}, Site: frame("site", i), WrongIf: "everybody may wait",
			Pattern: detectors.Pattern{ID: fmt.Sprint("repair-", i%8), Title: "Do less under the lock", Why: strings.Repeat("Because it helps. ", 20), Before: strings.Repeat("x := f(y)\n", 20), After: strings.Repeat("x := g(y)\n", 20)},
		}
		for j := range 10 {
			f.Evidence = append(f.Evidence, detectors.Evidence{Text: fmt.Sprintf("in %d of 695 waits the holder was itself blocked between line 41 and line 56", 600+j), Weight: 0.2})
		}
		for j := range 6 {
			g := detectors.Group{Role: detectors.Waiter, Count: 500, Entry: frame("entry", j).Func, State: "waiting", Reason: "sync", CreatedBy: frame("creator", i+j)}
			for k := range 16 {
				g.Goroutines = append(g.Goroutines, int64(1_000_000+i*1000+j*16+k))
			}
			for k := range 60 {
				g.Stack = append(g.Stack, frame("stack", rnd.IntN(900)+k%3))
			}
			f.Groups = append(f.Groups, g)
		}
		for j := range 12 {
			f.Timeline = append(f.Timeline, detectors.TimelineEvent{Goroutine: int64(1_000_000 + i*1000 + j), Event: "blocked", Text: "waits for Handler.mu, which G12 holds since handler.go:41"})
			f.Timeline[j].T += f.Timeline[max(j-1, 0)].T + 1_234_567
		}
		f.Scene = bigScene(rnd, 22, 160, 64, 200, frame)
		for j := range f.Scene.Tracks {
			f.Scene.Tracks[j].Goroutine = int64(1_000_000 + i*1000 + j)
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

// bigScene is a scene with so many spans in all, wakes and points.
func bigScene(rnd *rand.Rand, tracks, spans, wakes, points int, frame func(string, int) detectors.Frame) *detectors.Scene {
	states := []detectors.Span{{State: "running"}, {State: "runnable"}, {State: "waiting", Reason: "sync"}, {State: "waiting", Reason: "select"}, {State: "syscall"}}
	scene := &detectors.Scene{From: 12_345_678_901, LeftOut: detectors.LeftOut{Goroutines: 984, Spans: 12_345, Wakes: 2345}}
	for i := range 40 {
		scene.Frames = append(scene.Frames, frame("scene", i))
	}
	for i := range tracks {
		track := detectors.Track{Role: detectors.Waiter, Entry: frame("entry", i).Func, Spans: []detectors.Span{}}
		at := scene.From
		for range spans / tracks {
			s := states[rnd.IntN(len(states))]
			s.From = at
			at += 1 + traceload.Time(rnd.IntN(40_000_000))
			s.To, s.Frame, s.Merged = at, rnd.IntN(len(scene.Frames)), 1+rnd.IntN(3)
			track.Spans = append(track.Spans, s)
		}
		track.Until = at
		scene.To = max(scene.To, at)
		scene.Tracks = append(scene.Tracks, track)
	}
	for i := range wakes {
		scene.Wakes = append(scene.Wakes, detectors.Wake{T: scene.From + (scene.To-scene.From)/traceload.Time(wakes)*traceload.Time(i), By: rnd.IntN(tracks+1) - 1, Of: rnd.IntN(tracks), What: "woken"})
	}
	for i := range points {
		scene.Curve = append(scene.Curve, detectors.Point{T: traceload.Time(i) * 150_000_000, N: rnd.IntN(100_000)})
	}
	return scene
}

func sheetOf(t *testing.T, out string) *sheet {
	t.Helper()
	var page sheet
	if err := json.Unmarshal([]byte(dataBlock.FindStringSubmatch(out)[1]), &page); err != nil {
		t.Fatal(err)
	}
	return &page
}

// A report of a hundred findings has room for all of them; one of thousands
// gives up what can be missed best, and says so.
func TestHTMLSize(t *testing.T) {
	hundred := write(t, mustFormat(t, "html"), crowded(100), Options{})
	t.Logf("100 findings: %d bytes", len(hundred))
	if len(hundred) > 3_000_000 {
		t.Errorf("100 findings take %d bytes", len(hundred))
	}
	for _, f := range sheetOf(t, hundred).Findings {
		if f.Scene == nil || f.Less != "" {
			t.Fatalf("finding %d of 100 is cut short: %s", f.Rank, f.Less)
		}
	}
	thousands := write(t, mustFormat(t, "html"), crowded(1200), Options{})
	if len(thousands) > 3_000_000 {
		t.Errorf("1,200 findings take %d bytes", len(thousands))
	}
	page := sheetOf(t, thousands)
	t.Logf("1,200 findings: %d bytes, %d shown", len(thousands), len(page.Findings))
	if page.Findings[0].Less != "" || page.Findings[0].Scene == nil {
		t.Error("not even the worst finding has its picture")
	}
	last := page.Findings[len(page.Findings)-1]
	if last.Less == "" || last.Scene != nil {
		t.Error("the last of so many findings has all")
	}
	if n := 1200 - len(page.Findings); n > 0 && !strings.Contains(strings.Join(page.Notes, " "), fmt.Sprintf("%s more findings left out", grouped(int64(n)))) {
		t.Errorf("%d findings are left out without a word: %q", n, page.Notes)
	}
}

// The rows of numbers mean what the scene says.
func TestSheetScene(t *testing.T) {
	r := crowded(1)
	scene := r.Findings[0].Scene
	page := sheetOf(t, write(t, mustFormat(t, "html"), r, Options{}))
	packed := page.Findings[0].Scene
	for i, track := range packed.Tracks {
		at := int64(scene.From)
		for j, want := range scene.Tracks[i].Spans {
			row := track.Spans[5*j : 5*j+5]
			from := at + row[0]
			at = from + row[1]
			kind, frame := page.Kinds[row[2]], page.Frames[row[3]]
			got := detectors.Span{From: traceload.Time(from), To: traceload.Time(at), State: kind.State, Reason: kind.Reason, Frame: want.Frame, Merged: int(row[4])}
			if got != want || frame.File != scene.Frames[want.Frame].File || frame.Line != scene.Frames[want.Frame].Line {
				t.Fatalf("track %d: %+v at %+v, want %+v", i, got, frame, want)
			}
		}
	}
	at := int64(scene.From)
	for i, want := range scene.Wakes {
		row := packed.Wakes[4*i : 4*i+4]
		at += row[0]
		if got := (detectors.Wake{T: traceload.Time(at), By: int(row[1]), Of: int(row[2]), What: packed.Whats[row[3]]}); got != want {
			t.Fatalf("wake %d: %+v, want %+v", i, got, want)
		}
	}
	at = 0
	for i, want := range scene.Curve {
		at += packed.Curve[2*i]
		if got := (detectors.Point{T: traceload.Time(at), N: int(packed.Curve[2*i+1])}); got != want {
			t.Fatalf("point %d: %+v, want %+v", i, got, want)
		}
	}
}

func TestOpening(t *testing.T) {
	step := []detectors.TimelineEvent{{Goroutine: 7}}
	tests := []struct {
		source string
		f      detectors.Finding
		want   string // command, URL, whether there is a note
	}{
		{"trace.out", detectors.Finding{Timeline: step}, "go tool trace -http=localhost:6070 trace.out http://localhost:6070/trace?goid=7#1.500:2.500 false"},
		{"my trace's.out", detectors.Finding{}, `go tool trace -http=localhost:6070 'my trace'\''s.out' http://localhost:6070/trace?view=proc#1.500:2.500 false`},
		{"$(reboot).out", detectors.Finding{}, `go tool trace -http=localhost:6070 '$(reboot).out' http://localhost:6070/trace?view=proc#1.500:2.500 false`},
		{"-x.out", detectors.Finding{}, `go tool trace -http=localhost:6070 './-x.out' http://localhost:6070/trace?view=proc#1.500:2.500 false`},
		{"a/b.zst", detectors.Finding{}, "zstd -dc < a/b.zst > trace.out && go tool trace -http=localhost:6070 trace.out http://localhost:6070/trace?view=proc#1.500:2.500 false"},
		{"-", detectors.Finding{}, "go tool trace -http=localhost:6070 trace.out http://localhost:6070/trace?view=proc#1.500:2.500 true"},
		{"http://localhost:6060/debug/pprof/trace", detectors.Finding{}, "go tool trace -http=localhost:6070 trace.out http://localhost:6070/trace?view=proc#1.500:2.500 true"},
		{`tr\x1bace.out`, detectors.Finding{}, "go tool trace -http=localhost:6070 trace.out http://localhost:6070/trace?view=proc#1.500:2.500 true"},
	}
	for _, test := range tests {
		open := openingOf(&detectors.Report{Traces: []detectors.Trace{{Source: test.source}}}, &test.f, 1_500_000, 2_500_000)
		if got := fmt.Sprint(open.Command, " ", open.URL, " ", open.Note != ""); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.source, got, test.want)
		}
	}
	if openingOf(&detectors.Report{}, &detectors.Finding{}, 0, 0) != nil {
		t.Error("a command although there is no trace")
	}
}
