package main

import "testing"

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{
		"500MB": 500e6, "500mb": 500e6, "2GiB": 2 << 30, "2G": 2 << 30, "1.5 GB": 1500e6, "64M": 64 << 20, "20000KB": 20e6, "16000000": 16e6, "16000000B": 16e6, "32768K": 32 << 20,
	} {
		var b byteSize
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%q is %d (%v), want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "MB", "much", "-5MB", "0", "NaN", "Inf", "1MB", "5TB", "9999999GB", "5 MB MB"} {
		b := byteSize(7)
		if err := b.Set(text); err == nil || b != 7 {
			t.Errorf("%q is %d, want an error", text, b)
		}
	}
}

func TestMachineMemory(t *testing.T) {
	if n := machineMemory(); n < 64<<20 {
		t.Errorf("this machine has %d bytes", n)
	}
}

// TestPercentAfter: a small heap may grow to smallHeap, a large one by gcPercent.
func TestPercentAfter(t *testing.T) {
	for _, live := range []uint64{0, 1, 1 << 20, 8 << 20, smallHeap / 2, smallHeap, 10 * smallHeap, 1 << 50} {
		percent := percentAfter(live)
		next := float64(max(live, 1<<20)) * (1 + float64(percent)/100)
		if want := max(smallHeap, float64(live)*(1+gcPercent/100.0)); next > 1.02*want || next < 0.98*want {
			t.Errorf("%d bytes alive: the next collection at %.0f (%d percent), want %.0f", live, next, percent, want)
		}
	}
}
