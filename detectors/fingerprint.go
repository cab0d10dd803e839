package detectors

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// fingerprint names a problem so that it is found again in another trace of
// the same program, also after an edit or with another compiler: no line
// numbers, files, ids, times or counts, no closure ordinals, and nothing of what
// the closure's function was inlined into.
func fingerprint(f *Finding, known packages) string {
	parts := []string{f.Detector, f.Cause, known.name(f.Site)}
	for _, k := range f.Key {
		parts = append(parts, known.name(f.frameIn(k)))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// frameIn finds a frame of the finding that is in the function fn.
func (f *Finding) frameIn(fn string) Frame {
	if f.Site.Func == fn {
		return f.Site
	}
	for i := range f.Groups {
		for _, frame := range append(slices.Clip(f.Groups[i].Stack), f.Groups[i].CreatedBy) {
			if frame.Func == fn {
				return frame
			}
		}
	}
	return Frame{Func: fn}
}

// packages knows which packages have files in a folder: one, or two where
// there is an external test package.
type packages map[string][]string

// packagesOf learns it from all frames of a trace, if there are findings to name.
func packagesOf(p *traceload.Program, findings []judged) packages {
	if len(findings) == 0 {
		return nil
	}
	known := packages{}
	files := map[traceload.FuncID]string{} // that functions were seen in last
	for f := range p.AllFrames {
		if file, ok := files[f.FuncID]; ok && file == f.File {
			continue
		}
		files[f.FuncID] = f.File
		pkg, fn := splitFunc(stripTypes(f.Func))
		if folder := path.Dir(f.File); f.File != "" && pkg != "" && !ordinals.MatchString(fn) && !slices.Contains(known[folder], pkg) {
			known[folder] = append(known[folder], pkg)
		}
	}
	for _, list := range known {
		slices.Sort(list) // p before p_test
	}
	return known
}

// name returns a frame's function as it is declared: "example.com/p.(*T).Run"
// for itself and for any closure in it.
//
// A closure in a function that was inlined is named after all the functions
// around it: "main.main.Start.func2" is a closure in Start, and the name does
// not tell whether that is main.Start or another package's. So of a closure's
// name only the last function counts, and the package is that of its folder.
func (known packages) name(f Frame) string {
	pkg, fn := splitFunc(stripTypes(f.Func))
	declared := ordinals.ReplaceAllString(fn, "")
	if declared == fn {
		return pkg + "." + fn
	}
	if here := known[path.Dir(f.File)]; len(here) > 0 && !slices.Contains(here, pkg) {
		pkg = here[0]
	}
	return pkg + "." + innermost(declared)
}

// innermost returns the last function of a chain, with its receiver if that
// can be told from a function: "(*T).Run" for "main.(*T).Run".
func innermost(chain string) string {
	if i := strings.LastIndex(chain, "(*"); i >= 0 && strings.Count(chain[i:], ".") == 1 {
		return chain[i:]
	}
	return chain[strings.LastIndexByte(chain, '.')+1:]
}

// splitFunc splits a function's name, without type arguments, after its package.
func splitFunc(name string) (pkg, fn string) {
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return "", name
	}
	return name[:slash+dot], name[slash+dot+1:]
}

// ordinals are what the compiler appends to the name of the function around a
// closure, a wrapper, or the body of a range over a function.
var ordinals = regexp.MustCompile(`(\.(func|gowrap|deferwrap)\d+|\.\d+|-range\d+|-fm)+$`)

// stripTypes leaves out type arguments.
func stripTypes(name string) string {
	if !strings.Contains(name, "[") {
		return name
	}
	var b strings.Builder
	depth := 0
	for _, r := range name {
		switch {
		case r == '[':
			depth++
		case r == ']' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}
