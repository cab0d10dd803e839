package source

import (
	"go/types"
	"strings"
)

// This file asks go/types what the rest needs to know of a type, and bears that
// it often knows nothing: every function takes nil.

// deref removes pointers and alias names.
func deref(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	return t
}

// typeName returns the package and name of a named type or a pointer to one.
func typeName(t types.Type) (pkg, name string) {
	switch t := deref(t).(type) {
	case *types.Named:
		if p := t.Obj().Pkg(); p != nil {
			pkg = p.Path()
		}
		return pkg, t.Obj().Name()
	case *types.TypeParam:
		return "", t.Obj().Name()
	}
	return "", ""
}

func isSync(t types.Type, name string) bool {
	pkg, n := typeName(t)
	return pkg == "sync" && n == name
}

// copied tells whether assigning a value of that type makes another object.
func copied(t types.Type) bool {
	if t == nil {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Struct, *types.Array, *types.Basic:
		return true
	}
	return false
}

// lockItself tells whether a type only dresses a lock up: it is called a lock
// and has one in it. People, and the program, mean the whole of it.
func lockItself(t types.Type) bool {
	_, name := typeName(t)
	if !looksLikeLock(name) {
		return false
	}
	st, ok := under(deref(t)).(*types.Struct)
	if !ok {
		return false
	}
	n := 0
	for f := range st.Fields() {
		if isLockType(f.Type()) {
			n++
		}
	}
	return n == 1
}

func isLockType(t types.Type) bool {
	pkg, name := typeName(t)
	return pkg == "sync" && lockTypes[name] || pkg != "" && pkg != "sync" && looksLikeLock(name)
}

var lockTypes = map[string]bool{"Mutex": true, "RWMutex": true, "Locker": true}

func looksLikeLock(typeName string) bool {
	name := strings.ToLower(typeName)
	return strings.HasSuffix(name, "mutex") || strings.HasSuffix(name, "lock") || strings.HasSuffix(name, "locker")
}

func under(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	return t.Underlying()
}

// fieldOf looks a field up in a type that go/types knew, where it did not
// know the expression.
func fieldOf(t types.Type, name string) (f *types.Var, owner types.Type) {
	if t == nil {
		return nil, nil
	}
	st, ok := under(deref(t)).(*types.Struct)
	if !ok {
		return nil, nil
	}
	for f := range st.Fields() {
		if f.Name() == name {
			return f, t
		}
	}
	return nil, nil
}

func elementType(container, known types.Type) types.Type {
	if known != nil {
		return known
	}
	switch t := under(deref(container)).(type) {
	case *types.Slice:
		return t.Elem()
	case *types.Array:
		return t.Elem()
	case *types.Map:
		return t.Elem()
	}
	return nil
}
