package jobs

import "testing"

func TestNumber(t *testing.T) {
	var table Table
	for _, tt := range []struct {
		key  Key
		want ID
	}{
		{Key{}, 0}, {Key{3, 4}, 1}, {Key{3, 5}, 2}, {Key{4, 4}, 3}, {Key{3, 4}, 1}, {Key{0, 5}, 4}, {Key{3, 0}, 5}, {Key{}, 0},
	} {
		if got := table.number(tt.key); got != tt.want {
			t.Errorf("%v: number %d, want %d", tt.key, got, tt.want)
		}
	}
}
