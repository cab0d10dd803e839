package render

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// viewer is where go tool trace is told to serve a trace.
const viewer = "localhost:6070"

// opening is how to open the moment of a finding in go tool trace.
type opening struct {
	Command string `json:"command"`
	URL     string `json:"url"`  // to open while the command runs
	Note    string `json:"note"` // "" if there is nothing to add
}

// openingOf says how to open the moment of a finding in go tool trace: with a
// goroutine's id it shows that one and those it has to do with, and what follows
// the # marks a stretch of time, in milliseconds. (Its parameters start and end are
// something else: they cut a long trace into parts of equal size.) nil if
// the trace of the finding is not known.
func openingOf(r *detectors.Report, f *detectors.Finding, from, to int64) *opening {
	source := sourceOf(r, f)
	if source == "" {
		return nil
	}
	open := &opening{URL: "http://" + viewer + "/trace?"}
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

// extent is the stretch of a trace that a finding is about.
func extent(r *detectors.Report, f *detectors.Finding) (from, to int64) {
	if f.Scene != nil {
		return int64(f.Scene.From), int64(f.Scene.To)
	}
	for i, step := range f.Timeline {
		if i == 0 || int64(step.T) < from {
			from = int64(step.T)
		}
		to = max(to, int64(step.T))
	}
	if len(f.Timeline) == 0 && f.Trace >= 0 && f.Trace < len(r.Traces) {
		to = int64(r.Traces[f.Trace].Duration)
	}
	return from, to
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
