package source

import "go/ast"

// MayWaitForTimer tells whether a statement at a line may wait for a timer's channel (ChanOps
// then says OriginTimer or OriginTicker). It is a quick look: of the package that file alone is
// parsed. false also means that the source is not at hand.
func (t *Tree) MayWaitForTimer(file string, line int) bool {
	f := t.parsed(t.resolve(file))
	if f == nil {
		return false
	}
	for _, d := range f.ast.Decls {
		if f.spans(d, line) && mayMakeTimer(d) {
			return true
		}
	}
	return false
}

// mayMakeTimer tells whether a declaration has anything of which a timer's channel is made: it is
// followed to there within one declaration (chanOrigin).
func mayMakeTimer(d ast.Decl) bool {
	found := false
	ast.Inspect(d, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			switch sel.Sel.Name {
			case "After", "Tick", "C":
				found = true
			}
		}
		return !found
	})
	return found
}
