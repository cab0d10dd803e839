package traceload

import "testing"

// TestSeating checks that slots are given away again, those of who ended last first.
func TestSeating(t *testing.T) {
	var s seating
	take := func(id GoID, slot int32, fresh bool) {
		t.Helper()
		if got, is := s.take(id); got != slot || is != fresh {
			t.Errorf("goroutine %d has slot %d, new: %t; want %d, %t", id, got, is, slot, fresh)
		}
	}
	take(7, 0, true)
	take(8, 1, true)
	take(7, 0, false)
	take(9, 2, true)
	s.leave(0)
	s.leave(2)
	if s.slot(7) != noSlot || s.slot(8) != 1 || s.slot(9) != noSlot {
		t.Errorf("after the end of 7 and 9 they have slots %d and %d, and 8 has %d", s.slot(7), s.slot(9), s.slot(8))
	}
	take(10, 2, true)
	take(7, 0, true)
	take(9, 3, true)
}
