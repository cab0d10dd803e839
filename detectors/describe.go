package detectors

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// FrameOf copies a frame out of the trace; the zero Frame for nil.
func FrameOf(f *traceload.Frame) Frame {
	if f == nil {
		return Frame{}
	}
	return Frame{Func: f.Func, File: f.File, Line: f.Line}
}

// StackOf copies a stack out of the trace, innermost frame first.
func StackOf(p *traceload.Program, id traceload.StackID) []Frame {
	var frames []Frame
	for _, f := range p.Frames(id) {
		frames = append(frames, FrameOf(&f))
	}
	return frames
}

// SiteOf returns the frame of a stack that a user wants to see, see
// traceload.Stack.Site; the zero Frame if there is none.
func SiteOf(p *traceload.Program, id traceload.StackID) Frame { return FrameOf(p.Site(id)) }

// EntryName is the name of the function that g's go statement started, "" if unknown.
func EntryName(p *traceload.Program, g *traceload.Goroutine) string {
	return EntryOf(p, g.Entry)
}

// EntryOf is EntryName for goroutines that have a stack in common, or are described by one: the
// outermost function of it, "" if there is none.
func EntryOf(p *traceload.Program, id traceload.StackID) string {
	if f := p.Outermost(id); f != 0 {
		return p.Frame(f).Func
	}
	return ""
}

// GroupOf describes one goroutine, in its present state, as the first of a group.
func GroupOf(p *traceload.Program, role Role, g *traceload.Goroutine) Group {
	return Group{
		Role: role, Count: 1, Goroutines: []int64{int64(g.ID)}, Entry: EntryName(p, g),
		State: g.State.String(), Reason: p.String(g.Reason), Stack: StackOf(p, g.Stack), CreatedBy: creatorOf(p, g.CreatedAt),
	}
}

// creatorOf is the frame to show of the stack of a go statement: the program's
// own that led there, failing that the statement's.
func creatorOf(p *traceload.Program, id traceload.StackID) Frame {
	if own := p.OwnFrame(id); own != nil {
		return FrameOf(own)
	}
	return SiteOf(p, id)
}

// GroupsOf sorts goroutines into groups that share stack, entry and creator,
// the largest first, at most limit of them.
func GroupsOf(p *traceload.Program, role Role, list []*traceload.Goroutine, limit int) []Group {
	type key struct{ stack, entry, created traceload.StackID }
	index := map[key]int{}
	var groups []Group
	for _, g := range list {
		k := key{g.Stack, g.Entry, g.CreatedAt}
		if i, ok := index[k]; ok {
			groups[i].Add(g.ID)
			continue
		}
		index[k] = len(groups)
		groups = append(groups, GroupOf(p, role, g))
	}
	slices.SortStableFunc(groups, func(a, b Group) int { return b.Count - a.Count })
	return groups[:min(limit, len(groups))]
}

// Add counts another goroutine into the group.
func (g *Group) Add(id traceload.GoID) {
	g.Count++
	if len(g.Goroutines) < MaxGroupIDs {
		g.Goroutines = append(g.Goroutines, int64(id))
	} else {
		g.Rest = append(g.Rest, int64(id))
	}
}

// Short drops the package from a function's name where it has a receiver, and
// the path of the package otherwise: "(*Cache).Flush", "main.worker".
func Short(fn string) string {
	pkg := traceload.PackagePath(fn)
	if pkg == "" {
		return fn
	}
	rest := fn[len(pkg)+1:]
	if strings.HasPrefix(rest, "(") {
		return rest
	}
	return path.Base(pkg) + "." + rest
}

// Where is "file.go:42" for a frame, "an unknown line" without one.
func (f Frame) Where() string {
	if f.File == "" && f.Func == "" {
		return "an unknown line"
	}
	if f.File == "" {
		return Short(f.Func)
	}
	file := strings.ReplaceAll(f.File, `\`, "/")
	return fmt.Sprintf("%s:%d", path.Base(file), f.Line)
}

// Duration words a time for reading: three digits at most, "1.2s", "218ms".
func Duration(d time.Duration) string {
	switch {
	case d >= 100*time.Second:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d >= 10*time.Microsecond:
		return d.Round(time.Microsecond).String()
	}
	return d.String()
}

// Count words a number of things: "1 goroutine", "12 goroutines".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
