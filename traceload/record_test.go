package traceload

import "testing"

// TestSeating checks that a slot is not given away before all have seen who had it end.
func TestSeating(t *testing.T) {
	var s seating
	take := func(id GoID, slot int32, fresh bool) {
		t.Helper()
		s.turn()
		if got, is := s.take(id); got != slot || is != fresh {
			t.Errorf("goroutine %d has slot %d, new: %t; want %d, %t", id, got, is, slot, fresh)
		}
	}
	take(7, 0, true)
	take(8, 1, true)
	take(7, 0, false)
	s.turn()
	s.leave(0)
	if s.slot(7) != noSlot || s.slot(8) != 1 {
		t.Errorf("after its end 7 has slot %d, and 8 has %d", s.slot(7), s.slot(8))
	}
	if slot, _ := s.take(9); slot != 2 { // of the same record
		t.Errorf("slot %d is given away with the end of who had it", slot)
	}
	take(10, 0, true)
	take(7, 3, true)
}
