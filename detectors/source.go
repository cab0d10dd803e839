package detectors

import (
	"slices"

	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Source answers questions about the traced program's source: *source.Tree
// does. It is optional: a detector must have an answer without it.
type Source interface {
	Walk(stack, created []source.Frame) *source.Holding
	ChanOps(file string, line int) ([]source.ChanOp, bool)
	MayWaitForTimer(file string, line int) bool
	ChanUses(stack, created []source.Frame) ([]*source.Uses, bool)
	Ends(u *source.Uses, f source.Frame) bool
	Reaches(f source.Frame, name string, how source.Ending) bool
	Loop(file string, line int) (source.Loop, bool)
	InRow(f source.Frame, lines []int) (source.Row, bool)
	Lines(file string, line, around int) ([]source.Line, bool)
	Function(file string, line int, whole bool) (string, bool)
	Warnings() []string
}

// Config is what an analysis works with besides the trace. The zero value will do.
type Config struct {
	Progress traceload.Progress // may be nil
	Source   Source             // nil where no source is to be read
	// KnownWaits are rows for the table of well-known waits; they win over those
	// that are built in.
	KnownWaits []KnownWait
	// Limits bounds what the analysis takes. What is found does not depend on it.
	Limits traceload.Limits
	// Stats is told what the analysis took; nil if nobody wants to know.
	Stats *Stats
}

// SourceLine is a line around the site of a finding.
type SourceLine struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Site bool   `json:"site"` // the guilty one
}

// linesAround is how many lines a finding shows on either side of its site.
const linesAround = 3

// quote adds the lines around each finding's site, or around the program's own
// line that led to it.
func (w *walk) quote() {
	if w.source == nil {
		return
	}
	for i := range w.findings {
		f := &w.findings[i].Finding
		var lines []source.Line
		if f.Caller != (Frame{}) {
			lines, _ = w.source.Lines(f.Caller.File, f.Caller.Line, linesAround)
		}
		if len(lines) == 0 {
			lines, _ = w.source.Lines(f.Site.File, f.Site.Line, linesAround) // none if the source is not at hand
		}
		for _, l := range lines {
			f.Source = append(f.Source, SourceLine{Line: l.Number, Text: l.Text, Site: l.Site})
		}
	}
	for _, warning := range w.source.Warnings() {
		if !slices.Contains(w.told, warning) { // of an earlier trace with the same source
			w.warnings = append(w.warnings, warning)
		}
	}
}

// SourceFrames puts a stack of the trace as the source wants it, innermost first.
func SourceFrames(p *traceload.Program, id traceload.StackID) []source.Frame {
	var frames []source.Frame
	for _, f := range p.Frames(id) {
		frames = append(frames, source.Frame{Func: f.Func, File: f.File, Line: f.Line})
	}
	return frames
}
