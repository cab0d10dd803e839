package source

import (
	"go/ast"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// goStatement in front of a callee's name means that the frame started it as a
// goroutine.
const goStatement = "go "

// fit says how well a point fits what a frame called.
type fit uint8

const (
	fitNot  fit = iota
	fitSome     // it may be that: a call of a variable, or of an interface's method
	fitWell
)

// at returns the points of fn that a frame can stand at: those of its line that
// fit its callee best. false means that nothing in the line fits.
func (fn *function) at(f Frame) ([]point, bool) {
	fl := fn.analyse()
	if fl == nil {
		return nil, false
	}
	if parseSymbol(f.Func).wrapper {
		return fl.on(f.Line, func(p point) bool { return p.kind == pointGo || p.kind == pointDefer })
	}
	if name, ok := strings.CutPrefix(f.Callee, goStatement); ok {
		if list, ok := fl.fitting(parseCallee(name), pointGo, func(p point) bool { return p.line == f.Line }); ok {
			return list, true
		}
		return fl.on(f.Line, func(p point) bool { return p.kind == pointGo })
	}
	want := parseCallee(f.Callee)
	if want.kind != calleeUnknown {
		if list, ok := fl.fitting(want, pointCall, func(p point) bool { return p.line == f.Line }); ok {
			return list, true
		}
		if list, ok := fl.fitting(want, pointCall, func(p point) bool { return p.alt == f.Line }); ok {
			return list, true
		}
		// A deferred call runs at the line that panics, too.
		for _, p := range fl.points {
			if p.kind == pointDeferred && want.fits(fn, p) == fitWell {
				if here, ok := fl.statement(f.Line); ok {
					return here, true
				}
			}
		}
		return nil, false
	}
	if list, ok := fl.on(f.Line, func(p point) bool { return p.kind < pointGo }); ok {
		return list, true
	}
	if list, ok := fl.on(f.Line, func(p point) bool { return p.kind != pointOther }); ok {
		return list, true
	}
	return fl.statement(f.Line)
}

// fitting returns the points that a callee fits best: go statements, or all others.
func (fl *flow) fitting(want callee, kind pointKind, here func(point) bool) ([]point, bool) {
	best := fitSome
	var list []point
	for _, p := range fl.points {
		if !here(p) || (p.kind == pointGo) != (kind == pointGo) {
			continue
		}
		switch got := want.fits(fl.fn, p); {
		case got > best:
			best, list = got, []point{p}
		case got == best:
			list = append(list, p)
		}
	}
	return list, len(list) > 0
}

// acts tells whether there is a call or an operation on a channel in a line.
func (fl *flow) acts(line int) bool {
	return slices.ContainsFunc(fl.points, func(p point) bool { return p.kind <= pointGo && (p.line == line || p.alt == line) })
}

func (fl *flow) on(line int, is func(point) bool) ([]point, bool) {
	var list []point
	for _, p := range fl.points {
		if p.line == line && is(p) {
			list = append(list, p)
		}
	}
	return list, len(list) > 0
}

// statement returns the points of the smallest statements that span the line.
func (fl *flow) statement(line int) ([]point, bool) {
	var list []point
	size := -1
	for _, p := range fl.points {
		if p.kind != pointOther || line < p.line || p.last < line {
			continue
		}
		if n := p.last - p.line; size < 0 || n < size {
			size, list = n, nil
		}
		if p.last-p.line == size {
			list = append(list, p)
		}
	}
	if len(list) > 0 {
		return list, true
	}
	// The head of a loop, and the function's own first and last line, hold no statement.
	if list, ok := fl.on(line, func(point) bool { return true }); ok {
		return list, true
	}
	f := fl.fn.file
	if n := fl.fn.node(); line == f.line(n.Pos()) || line == f.line(fl.fn.body().Lbrace) {
		return []point{{kind: pointOther, node: n, line: line, state: &state{}}}, true
	}
	found := false
	ast.Inspect(fl.fn.body(), func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt, *ast.RangeStmt, *ast.IfStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt, *ast.CaseClause,
			*ast.CommClause, *ast.BranchStmt, *ast.LabeledStmt:
			if f.line(n.Pos()) == line || f.line(n.End()-1) == line {
				found = true
			}
		case *ast.FuncLit:
			return false
		}
		return !found
	})
	if !found {
		return nil, false
	}
	// What holds there is what held at the nearest point before.
	var near point
	for _, p := range fl.points {
		if p.line <= line && p.line >= near.line {
			near = p
		}
	}
	if near.state == nil {
		near.state = &state{}
	}
	return []point{{kind: pointOther, node: fl.fn.body(), line: line, state: near.state}}, true
}

type calleeKind uint8

const (
	calleeUnknown calleeKind = iota // or anything that the runtime does on its own account
	calleeReceive
	calleeSend
	calleeSelect
	calleeFunc
)

// callee is what a frame called.
type callee struct {
	kind calleeKind
	symbol
}

func parseCallee(name string) callee {
	switch name {
	case "":
		return callee{}
	case "runtime.chanrecv1", "runtime.chanrecv2", "runtime.chanrecv":
		return callee{kind: calleeReceive}
	case "runtime.chansend1", "runtime.chansend":
		return callee{kind: calleeSend}
	case "runtime.selectgo", "runtime.block", "runtime.selectnbsend", "runtime.selectnbrecv":
		return callee{kind: calleeSelect}
	}
	c := callee{calleeFunc, parseSymbol(name)}
	if c.pkg == "" || c.pkg == "runtime" && c.literals == 0 && !ast.IsExported(c.name) {
		return callee{}
	}
	return c
}

// fits tells whether the function that was called can be called at p.
func (c callee) fits(fn *function, p point) fit {
	switch p.kind {
	case pointReceive:
		return fitIf(c.kind == calleeReceive)
	case pointSend:
		return fitIf(c.kind == calleeSend)
	case pointSelect:
		return fitIf(c.kind == calleeSelect)
	case pointRange:
		r := p.node.(*ast.RangeStmt)
		switch under(fn.typeOf(r.X)).(type) {
		case *types.Chan:
			return fitIf(c.kind == calleeReceive)
		case *types.Signature:
			return fitIf(c.kind == calleeFunc)
		case nil:
			if c.kind == calleeReceive || c.kind == calleeFunc {
				return fitSome
			}
		}
		return fitNot
	case pointDefer, pointOther:
		return fitNot
	}
	if c.kind != calleeFunc {
		return fitNot
	}
	t := fn.target(p.call)
	isLiteral := c.literals > 0 || c.body
	switch {
	case t.fn != nil && t.fn.lit != nil, t.name == "" && !t.loose:
		if isLiteral {
			return fitWell
		}
		return fitNot
	case t.name == "":
		return fitSome
	case t.name == c.name && !isLiteral:
		return fitWell
	case t.loose && t.op.kind == opNone && fn.unknown(p.call):
		return fitSome
	}
	return fitNot
}

func fitIf(ok bool) fit {
	if ok {
		return fitWell
	}
	return fitNot
}

// unknown tells whether go/types could not say what a call calls.
func (fn *function) unknown(call *ast.CallExpr) bool {
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		return fn.object(f) == nil
	case *ast.SelectorExpr:
		return fn.imported(f.X) == "" && fn.file.pkg.info.Selections[f] == nil
	}
	return false
}
