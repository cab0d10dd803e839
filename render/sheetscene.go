package render

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// sheetScene is a scene in few bytes: spans, wake-ups and points are rows of
// numbers without names, and most numbers are small.
type sheetScene struct {
	From   int64        `json:"from"`
	To     int64        `json:"to"`
	Tracks []sheetTrack `json:"tracks"`
	// Wakes are rows of four: the time since the row before, the tracks By and Of,
	// and the index in Whats.
	Wakes   []int64           `json:"wakes"`
	Whats   []string          `json:"whats"`
	Curve   []int64           `json:"curve"` // rows of two: the time since the row before, the number
	LeftOut detectors.LeftOut `json:"leftOut"`
}

type sheetTrack struct {
	Goroutine int64  `json:"g"`
	Role      string `json:"role"`
	Entry     string `json:"entry"`
	Born      *int64 `json:"born"`
	Ended     *int64 `json:"ended"`
	Since     int64  `json:"since"`
	Until     int64  `json:"until"`
	// Spans are rows of five: the time since the end of the row before, how long
	// it lasted, what the goroutine did (sheet.Kinds), where (sheet.Frames, or -1),
	// and how many spans it stands for.
	Spans []int64 `json:"spans"`
}

func (s *sheet) scene(scene *detectors.Scene) *sheetScene {
	out := &sheetScene{
		From: int64(scene.From), To: int64(scene.To), Tracks: []sheetTrack{}, Wakes: []int64{}, Whats: []string{}, Curve: []int64{}, LeftOut: scene.LeftOut,
	}
	for _, t := range scene.Tracks {
		track := sheetTrack{
			Goroutine: t.Goroutine, Role: string(t.Role), Entry: shortFunc(t.Entry), Since: int64(t.Since), Until: int64(t.Until), Spans: []int64{},
		}
		if t.Born != nil {
			born := int64(*t.Born)
			track.Born = &born
		}
		if t.Ended != nil {
			ended := int64(*t.Ended)
			track.Ended = &ended
		}
		last := int64(scene.From)
		for _, span := range t.Spans {
			frame := -1
			if span.Frame >= 0 && span.Frame < len(scene.Frames) {
				frame = s.frame(scene.Frames[span.Frame])
			}
			track.Spans = append(track.Spans, int64(span.From)-last, int64(span.To-span.From), int64(s.kind(span.State, span.Reason)), int64(frame), int64(span.Merged))
			last = int64(span.To)
		}
		out.Tracks = append(out.Tracks, track)
	}
	whats, last := map[string]int{}, int64(scene.From)
	for _, w := range scene.Wakes {
		if w.Of < 0 || w.Of >= len(scene.Tracks) || w.By >= len(scene.Tracks) {
			continue
		}
		what, ok := whats[w.What]
		if !ok {
			what = len(out.Whats)
			whats[w.What] = what
			out.Whats = append(out.Whats, w.What)
		}
		out.Wakes = append(out.Wakes, int64(w.T)-last, int64(w.By), int64(w.Of), int64(what))
		last = int64(w.T)
	}
	last = 0
	for _, p := range scene.Curve {
		out.Curve = append(out.Curve, int64(p.T)-last, int64(p.N))
		last = int64(p.T)
	}
	return out
}

// viewer is where go tool trace is told to serve a trace.
const viewer = "localhost:6070"

// opening says how to open the moment of a finding in go tool trace: with a
// goroutine's id it shows that one and those it has to do with, and what follows
// the # marks a stretch of time, in milliseconds. (Its parameters start and end are
// something else: they cut a long trace into parts of equal size.)
func opening(r *detectors.Report, f *detectors.Finding, from, to int64) *sheetOpen {
	source := sourceOf(r, f)
	if source == "" {
		return nil
	}
	open := &sheetOpen{URL: "http://" + viewer + "/trace?"}
	if id := protagonist(f); id > 0 {
		open.URL += fmt.Sprintf("goid=%d", id)
	} else {
		open.URL += "view=proc"
	}
	const ms = 1e6
	if to <= from {
		to = from + 1000
	}
	open.URL += fmt.Sprintf("#%.3f:%.3f", float64(from)/ms, float64(to)/ms)
	file := source
	switch {
	case source == "-" || strings.Contains(source, "://"):
		file, open.Note = "trace.out", "The trace was read from elsewhere; go tool trace needs it in a file."
	case strings.Contains(source, `\`):
		file, open.Note = "trace.out", "Give go tool trace the file with the name that it has."
	default:
		for ext, unpack := range map[string]string{".gz": "gzip", ".zst": "zstd"} {
			if strings.HasSuffix(source, ext) {
				file = "trace.out"
				open.Command = unpack + " -dc < " + shellQuoted(source) + " > " + file + " && "
			}
		}
	}
	open.Command += "go tool trace -http=" + viewer + " " + shellQuoted(file)
	return open
}

// protagonist is the goroutine to look at first; 0 if none is known.
func protagonist(f *detectors.Finding) int64 {
	for _, step := range f.Timeline {
		if step.Goroutine > 0 {
			return step.Goroutine
		}
	}
	for _, g := range f.Groups {
		for _, id := range g.Goroutines {
			if id > 0 {
				return id
			}
		}
	}
	return 0
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./=+:@%,-]*$`)

// shellQuoted makes one word of a name, for a POSIX shell.
func shellQuoted(name string) string {
	if plainWord.MatchString(name) {
		return name
	}
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
