package traceload

import (
	"reflect"
	"testing"
)

// TestBeside checks that what is kept beside goroutines is where it was left, whoever
// else keeps something, and that the program says the same as without.
func TestBeside(t *testing.T) {
	for _, rec := range recordings(t) {
		var want []sight
		if _, _, err := WalkWith(input(t, rec.data), func(p *Program, ev *Event) { want = append(want, look(p, ev)) }, nil, Limits{}); err != nil {
			t.Fatal(err)
		}
		var (
			lasting Lasting[[2]int64]
			bytes   [30]Beside[byte]
			large   Beside[[9]int64]
			got     []sight
		)
		all := map[int32]int64{} // events, by slot
		own := map[int32]int64{} // those of who has it
		who := map[int32]GoID{}
		layout := new(Layout)
		for i := range bytes {
			layout.Add(&bytes[i])
		}
		layout.Add(&lasting, &large)
		observe := func(p *Program, ev *Event) {
			got = append(got, look(p, ev))
			g := ev.G
			if g == nil {
				return
			}
			if who[g.Slot] != g.ID {
				who[g.Slot], own[g.Slot] = g.ID, 0
			}
			n := own[g.Slot]
			own[g.Slot]++
			if at := lasting.Of(g); at[1] != all[g.Slot] {
				t.Fatalf("%s: event %d: what lasts is %d, want %d", rec.name, len(got), at[1], all[g.Slot])
			} else {
				at[1]++
			}
			all[g.Slot]++
			if p.InSlot(g.Slot) != g {
				t.Fatalf("%s: event %d: somebody else is in the slot of %d", rec.name, len(got), g.ID)
			}
			for i := range bytes {
				if at := bytes[i].At(g); *at != byte(n) {
					t.Fatalf("%s: event %d: byte %d is %d, want %d", rec.name, len(got), i, *at, byte(n))
				} else {
					*at++
				}
			}
			if at := large.At(g); at[8] != n {
				t.Fatalf("%s: event %d: kept is %d, want %d", rec.name, len(got), at[8], n)
			} else {
				at[8]++
			}
		}
		if _, _, err := WalkLanes(input(t, rec.data), []Lane{{Observe: each(observe), Layout: layout}}, nil, Limits{}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: other events than without anything kept", rec.name)
		}
	}
	var b Beside[int]
	if b.Of(nil) != nil {
		t.Error("something is kept for no goroutine")
	}
	defer func() {
		if recover() == nil {
			t.Error("something is kept that no layout gave a place")
		}
	}()
	layout := new(Layout)
	all := layout.goroutines()
	all.grow()
	b.At(all.at(0))
}

// TestPlain checks that nothing with pointers is kept: none of it would be cleared in a way
// that the collector may see.
func TestPlain(t *testing.T) {
	type pair struct {
		_ [3]struct{ _ GoID }
		_ uint8
	}
	new(Layout).Add(new(Beside[pair]), new(Lasting[[2]float64]))
	for _, k := range []Kept{new(Beside[*int]), new(Beside[[2]struct{ s []byte }]), new(Lasting[string]), new(Beside[map[int]int])} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a %v is kept", k.kept())
				}
			}()
			new(Layout).Add(k)
		}()
	}
}

// TestLayout checks that goroutines do not overlap, whether little or much is kept.
func TestLayout(t *testing.T) {
	var small Beside[byte]
	var large Beside[[1 << 12]byte]
	for _, tt := range []struct {
		kept  []Kept
		pages int32
	}{{[]Kept{&small}, 4 * morePages}, {[]Kept{&small, &large}, 3}} {
		kept := tt.kept
		layout := new(Layout)
		layout.Add(kept...)
		all := layout.goroutines()
		for slot := range tt.pages * pageGoroutines {
			if slot%pageGoroutines == 0 {
				all.grow()
			}
			g := all.at(slot)
			if g.Slot != 0 || *small.At(g) != 0 {
				t.Fatalf("%d kept: place %d is in use", len(kept), slot)
			}
			g.Slot, *small.At(g) = slot, 0xff
			if len(kept) == 2 {
				at := large.At(g)
				if at[len(at)-1] != 0 {
					t.Fatalf("the end of place %d is in use", slot)
				}
				at[len(at)-1] = 0xff
			}
		}
	}
}
