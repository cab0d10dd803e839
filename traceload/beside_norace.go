//go:build !race

package traceload

// origin is a check that only tests with -race make: see beside_race.go.
type origin struct{}

func originOf(*Goroutine) origin { return origin{} }

func (origin) check(*Goroutine) {}
