package source

import "testing"

const mainSource = `package main

import "sync"

type account struct{ mu sync.Mutex }

var bank struct {
	sync.RWMutex
	all map[string]*account
}

func move(from, to *account) {
	from.mu.Lock()
	defer from.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
}

func audit(f func()) {
	bank.RLock()
	f()
	bank.RUnlock()
}

func main() {
	a, b := &account{}, &account{}
	go move(a, b)
	go move(b, a)
	for range 3 {
		c := &account{}
		go move(c, a)
	}
	go audit(func() {
		bank.Lock()
	})
}
`

// TestAcrossGoroutines compares the locks of goroutines by way of the go
// statements that started them.
func TestAcrossGoroutines(t *testing.T) {
	tree, file := single(t, mainSource)
	frame := func(fn, text string) Frame {
		return Frame{Func: fn, File: file, Line: lineOf(t, mainSource, text)}
	}
	lock := Frame{Func: "sync.(*Mutex).Lock", File: "sync/mutex.go", Line: 46}
	mover := func(text string) *Holding {
		return tree.Walk([]Frame{lock, frame("main.move", "\tto.mu.Lock()")}, []Frame{frame("main.main", text)})
	}
	ab, ba, ca := mover("go move(a, b)"), mover("go move(b, a)"), mover("go move(c, a)")
	alone := tree.Walk([]Frame{lock, frame("main.move", "\tto.mu.Lock()")}, nil)
	for name, h := range map[string]*Holding{"ab": ab, "ba": ba, "ca": ca, "alone": alone} {
		if h.Waits == nil || len(h.Held()) != 1 || h.Held()[0].Name != "account.mu" || h.Waits.Name != "account.mu" {
			t.Fatalf("%s: %+v", name, h)
		}
	}
	for _, c := range []struct {
		name   string
		waits  *Lock
		holder *Holding
		want   Relation
	}{
		{"a waiter for b, who holds b", ab.Waits, ba, Same},
		{"a waiter for a, who holds a", ba.Waits, ab, Same},
		{"a waiter for a, who holds c", ab.Waits, ca, Unknown}, // of c there are three
		{"a waiter for a, who holds another a", ca.Waits, ab, Same},
		{"a waiter for b, who holds a", ab.Waits, ab, Distinct},
		{"a waiter for nobody knows what", alone.Waits, ab, Unknown},
	} {
		if got := Relate(*c.waits, c.holder.Held()[0], false); got != c.want {
			t.Errorf("%s: %d, want %d (%s and %s)", c.name, got, c.want, c.waits.ID, c.holder.Held()[0].ID)
		}
	}
	if !ab.Waits.Global || ca.Held()[0].Global || alone.Waits.Global {
		t.Errorf("global: %v %v %v", ab.Waits.Global, ca.Held()[0].Global, alone.Waits.Global)
	}

	h := tree.Walk([]Frame{
		{Func: "sync.(*RWMutex).Lock", File: "sync/rwmutex.go", Line: 1},
		frame("main.main.func1", "\t\tbank.Lock()"), frame("main.audit", "\tf()"), frame("main.main.gowrap4", "go audit("),
	}, []Frame{frame("main.main", "go audit(")})
	if got := words(h.Held()); got != "main.bank.RWMutex(r)" || h.Waits == nil || Relate(*h.Waits, h.Held()[0], true) != Same || !h.Waits.Global {
		t.Errorf("upgrade: held %q, waits %+v", got, h.Waits)
	}
	if h.Waits.Class != "example.com/cache.bank.RWMutex" || h.Waits.Mode != Write || h.Held()[0].Mode != Read {
		t.Errorf("upgrade: %+v", h.Waits)
	}
	if h.Frames[0].Status != StatusOpaque || h.Frames[1].Status != StatusMatched || h.Frames[3].Status != StatusMatched {
		t.Errorf("upgrade: %+v", h.Frames)
	}

	// Who releases it.
	h = tree.Walk([]Frame{{Func: "sync.(*RWMutex).RUnlock"}, frame("main.audit", "bank.RUnlock()")}, nil)
	if got := words(h.Releases); got != "main.bank.RWMutex(r)" || h.Waits != nil {
		t.Errorf("releases %q", got)
	}
	// The deferred one runs at the end, after that of the other lock.
	end := Frame{Func: "main.move", File: file, Line: lineOf(t, mainSource, "func audit") - 2}
	h = tree.Walk([]Frame{{Func: "sync.(*Mutex).Unlock"}, end}, nil)
	if len(h.Releases) != 2 || h.Releases[0].Path.String() != "from.mu" || h.Releases[1].Path.String() != "to.mu" {
		t.Errorf("releases %+v", h.Releases)
	}
}
