package flight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

func TestGauge(t *testing.T) {
	constant := func(n, times int) []int { return slices.Repeat([]int{n}, times) }
	tests := []struct {
		name         string
		most, growth int
		counts       []int
		want         Cause // for the last count
	}{
		{"few", 100, 0, constant(99, 5), ""},
		{"as many as that", 100, 0, []int{99, 100}, CauseGoroutines},
		{"not asked for", 0, 0, []int{1, 1_000_000}, ""},
		{"first count", 0, 10, []int{1000}, ""},
		{"grown", 0, 10, []int{5, 14, 15}, CauseGrowth},
		{"not grown enough", 0, 10, []int{5, 14, 14}, ""},
		{"grown since a low", 0, 10, []int{50, 5, 15}, CauseGrowth},
		{"grown slowly", 0, 60, func() (c []int) {
			for n := range 300 {
				c = append(c, n)
			}
			return c
		}(), CauseGrowth},
		{"grown more slowly", 0, 61, func() (c []int) {
			for n := range 300 {
				c = append(c, n)
			}
			return c
		}(), ""},
		{"the low is forgotten after a minute", 0, 10, append([]int{5}, constant(15, 61)...), ""},
		{"growth before number", 10, 10, []int{5, 15}, CauseGrowth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gauge{most: tt.most, growth: tt.growth}
			var got Cause
			for _, n := range tt.counts {
				got, _ = g.observe(n)
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestStorm(t *testing.T) {
	tests := []struct {
		name string
		n    int
		at   []int // milliseconds
		want int   // storms
	}{
		{"one is enough", 1, []int{0, 5000}, 2},
		{"within a second", 3, []int{0, 500, 1000}, 1},
		{"too slowly", 3, []int{0, 500, 1001}, 0},
		{"a long one", 3, []int{0, 1, 2, 3, 4, 5, 6}, 2},
		{"slow, then fast", 3, []int{0, 900, 1800, 1801, 1802}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storm{times: make([]time.Time, tt.n)}
			got := 0
			for _, ms := range tt.at {
				if s.add(time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond)) {
					got++
				}
			}
			if got != tt.want {
				t.Errorf("%d storms, want %d", got, tt.want)
			}
		})
	}
}

func TestExpired(t *testing.T) {
	tests := []struct {
		err  error
		want bool
	}{
		{context.DeadlineExceeded, true},
		{fmt.Errorf("asking the bank: %w", context.DeadlineExceeded), true},
		{os.ErrDeadlineExceeded, true},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true},
		{&net.DNSError{IsTimeout: true}, true},
		{context.Canceled, false},
		{errors.New("no such item"), false},
	}
	for _, tt := range tests {
		if got := expired(tt.err); got != tt.want {
			t.Errorf("expired(%v) = %t", tt.err, got)
		}
	}
}
