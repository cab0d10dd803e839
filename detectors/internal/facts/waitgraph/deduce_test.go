package waitgraph

import "testing"

func TestHomeOf(t *testing.T) {
	for _, tt := range []struct{ fn, want string }{
		{"main.(*Cache).Get", "main.Cache"},
		{"main.Cache.Get", "main.Cache"},
		{"main.(*Cache).Get.func1", "main.Cache"},
		{"main.(*Cache).Get-fm", "main.Cache"},
		{"example.com/a.b/shop.(*Cart[go.shape.int]).Add", "example.com/a.b/shop.Cart[go.shape.int]"},
		{"example.com/shop.Cart[...].Add", "example.com/shop.Cart[...]"},
		{"example.com/shop.Map[...]", "example.com/shop"},
		{"example.com/shop.Map[...].func1", "example.com/shop"},
		{"main.serve", "main"},
		{"main.serve.func2", "main"},
		{"main.serve.func2.1", "main"},
		{"main.serve.gowrap1", "main"},
		{"main.init.0", "main"},
		{"nothing", "nothing"},
		{"", ""},
	} {
		if got := homeOf(tt.fn); got != tt.want {
			t.Errorf("homeOf(%q) = %q, want %q", tt.fn, got, tt.want)
		}
	}
}
