package source

import (
	"go/ast"
	"go/token"
	"iter"
)

// A parameter is known by its index to who passes it (-1 is the receiver), and
// by the variable that it is to the function. This file leads from one to the
// other.

// parameters yields the names of the receiver and the parameters, with their
// indexes. One without a name is counted, but not yielded.
func (fn *function) parameters() iter.Seq2[int, *ast.Ident] {
	return func(yield func(int, *ast.Ident) bool) {
		if fn.decl != nil && fn.decl.Recv != nil {
			for _, f := range fn.decl.Recv.List {
				for _, name := range f.Names {
					if !yield(-1, name) {
						return
					}
				}
			}
		}
		params := fn.signature().Params
		if params == nil {
			return
		}
		i := 0
		for _, f := range params.List {
			for _, name := range f.Names {
				if !yield(i, name) {
					return
				}
				i++
			}
			if len(f.Names) == 0 {
				i++
			}
		}
	}
}

// parameter returns the index of the parameter declared at p.
func (fn *function) parameter(p token.Pos) (int, bool) {
	for i, name := range fn.parameters() {
		if name.Pos() == p {
			return i, true
		}
	}
	return 0, false
}

// parameterAt returns the name of a parameter, which may be "_"; nil if it has none.
func (fn *function) parameterAt(index int) *ast.Ident {
	for i, name := range fn.parameters() {
		if i == index {
			return name
		}
	}
	return nil
}

// variadic tells whether the last parameter takes any number of arguments.
func (fn *function) variadic() (last int, ok bool) {
	params := fn.signature().Params
	if params == nil || len(params.List) == 0 {
		return 0, false
	}
	f := params.List[len(params.List)-1]
	_, ok = f.Type.(*ast.Ellipsis)
	n := 0
	for _, f := range params.List {
		n += max(1, len(f.Names))
	}
	return n - 1, ok
}
