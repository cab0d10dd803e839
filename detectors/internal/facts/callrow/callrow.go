// Package callrow asks the source about calls that a function makes one after the
// other: whether one needs what another gave, and what kind of loop makes them.
package callrow

import (
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Row is what the source says, see source.Row.
type Row = source.Row

// The kinds of loop, see source.RowLoop.
const (
	LoopNone  = source.RowNoLoop
	LoopItems = source.RowItems
	LoopQueue = source.RowQueue
	LoopOpen  = source.RowOpen
)

// Look asks src about calls of f's function at the given lines, in the order in
// which they are made; callee is the full name of what one line calls, "" if
// unknown. false means that there is no source, or that it has no such calls.
func Look(src detectors.Source, f *traceload.Frame, callee string, lines ...int) (Row, bool) {
	if src == nil {
		return Row{}, false
	}
	return src.InRow(source.Frame{Func: f.Func, File: f.File, Line: f.Line, Callee: callee}, lines)
}
