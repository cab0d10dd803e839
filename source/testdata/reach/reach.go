// Package reach is source for the tests: "reaches:" names, at a frame, what its function comes to end.
package reach

import "sync"

type hub struct {
	done  chan struct{}
	in    chan int
	out   chan int
	deep  chan int
	wg    sync.WaitGroup
	ready sync.Cond
	taken func(chan int)
}

func (h *hub) stop() {
	close(h.done) // reaches: done/receive
}

func (h *hub) serve() { // reaches: in/send out/receive done/receive wg/done ready/cond out/perhaps wg/perhaps
	defer h.wg.Done()
	for v := range h.in {
		h.out <- v
	}
	h.ready.Broadcast()
	h.stop()
}

func (h *hub) passOn() {
	h.taken(h.out) // reaches: out/perhaps
}

// It takes three calls to the send, not four.
func (h *hub) one() { // reaches: deep/receive
	h.two()
}

func (h *hub) two()   { h.three() }
func (h *hub) three() { h.four() }
func (h *hub) four()  { h.deep <- 1 }

func (h *hub) zero() { // reaches:
	h.one()
}

// By the first call it is too far, by the second it is not.
func (h *hub) both() { // reaches: deep/receive
	h.zero()
	h.three()
}

func (h *hub) later() {
	go func() { // reaches: in/receive
		h.in <- 1
	}()
}
