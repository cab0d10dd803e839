package render

import "github.com/tracedoc/tracedoc/detectors"

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
