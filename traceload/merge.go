package traceload

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// cursor reads the events of one thread.
type cursor struct {
	thread  *osThread
	batches []eventBatch // that follow the present one
	data    []byte       // the present one
	at      int          // how far it is read
	typ     uint8
	time    int64
	numbers [5]uint64 // its time since the one before and its arguments, as many as typ has
}

// turn is when a cursor's next event is.
type turn struct {
	time   int64 // of its next event
	cursor *cursor
}

// run decodes the whole generation. What was handed to emit before an error holds.
func (o *order) run() error {
	o.threads, o.procs = map[uint64]*osThread{}, map[uint64]*processor{}
	o.stacks, o.texts = newMet(len(o.g.stacks)), newMet(len(o.g.strings))
	o.last = max(o.last+1, o.g.nanoseconds(o.g.minTime))
	cursors := make([]cursor, len(o.g.threads))
	for i := range o.g.threads {
		t := &o.g.threads[i]
		c := &cursors[i]
		*c = cursor{batches: t.batches}
		if t.id != noThread {
			c.thread = o.thread(t.id)
		}
		if ok, err := c.next(o.g); err != nil {
			return err
		} else if ok {
			o.frontier = append(o.frontier, turn{c.time, c})
			o.up(len(o.frontier) - 1)
		}
	}
	samples := o.g.samples
	for len(o.frontier) > 0 && !o.abandoned {
		for len(samples) > 0 && samples[0].time < o.frontier[0].time {
			o.sample(&samples[0])
			samples = samples[1:]
		}
		until := int64(math.MaxInt64)
		if len(samples) > 0 {
			until = samples[0].time
		}
		if ok, err := o.stretch(until); err != nil {
			return err
		} else if ok {
			continue
		}
		if err := o.tryOthers(); err != nil {
			return err
		}
	}
	for i := range samples {
		o.sample(&samples[i])
	}
	return nil
}

// stretch takes events, the earliest first, up to a time or until a thread has no more. It
// returns false if the next of them may not come.
func (o *order) stretch(until int64) (bool, error) {
	for {
		c := o.frontier[0].cursor
		first := min(until, o.second()) // up to when its events are
		for {
			if ok, err := o.advance(c); !ok || err != nil {
				o.frontier[0].time = c.time
				return false, err
			}
			if more, err := c.next(o.g); err != nil {
				return false, err
			} else if !more {
				o.remove(0)
				return true, nil
			}
			if c.time > first || o.abandoned {
				break
			}
		}
		o.frontier[0].time = c.time
		o.down(0)
		if o.frontier[0].time > until || o.abandoned {
			return true, nil
		}
	}
}

// second is the earliest time of a next event but for the one that is the earliest of all.
func (o *order) second() int64 {
	switch h := o.frontier; len(h) { // a heap, whose next layer has two
	case 1:
		return math.MaxInt64
	case 2:
		return h[1].time
	default:
		return min(h[1].time, h[2].time)
	}
}

// tryOthers finds an event that may come although the earliest may not.
func (o *order) tryOthers() error {
	slices.SortFunc(o.frontier, func(a, b turn) int { // which leaves it a heap
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	for i := 1; i < len(o.frontier); i++ {
		if ok, err := o.try(i); err != nil || ok {
			return err
		}
	}
	c := o.frontier[0].cursor
	return fmt.Errorf("no thread's next event can come, the first of them of type %d", c.typ)
}

// try takes the next event of frontier[i], if it may come.
func (o *order) try(i int) (bool, error) {
	c := o.frontier[i].cursor
	ok, err := o.advance(c)
	if !ok || err != nil {
		return false, err
	}
	more, err := c.next(o.g)
	switch {
	case err != nil:
		return false, err
	case more:
		o.frontier[i].time = c.time
		if o.up(i) == i {
			o.down(i)
		}
	default:
		o.remove(i)
	}
	return true, nil
}

// next reads the thread's next event; false if there is none. Nearly all events are of eight
// bytes or fewer, and their numbers of four: those are read from one word.
func (c *cursor) next(g *generation) (bool, error) {
	for c.at == len(c.data) {
		if len(c.batches) == 0 {
			return false, nil
		}
		c.data, c.at, c.time = c.batches[0].data, 0, g.nanoseconds(c.batches[0].time)
		c.batches = c.batches[1:]
		if g.until--; g.until == 0 {
			g.underway()
		}
	}
	data, at := c.data, c.at
	end := at + 8
	if uint(end) > uint(len(data)) {
		return c.long(g)
	}
	w := binary.LittleEndian.Uint64(data[at:end])
	c.typ = uint8(w)
	n := arguments[uint8(w)]
	since, size := shortUvarint(w >> 8)
	used := 8 + size // bits of the word, and more if it ends in a number
	c.numbers[0] = since
	if n > 1 {
		w >>= used & 63
		c.numbers[1], size = shortUvarint(w)
		used += size
		if n > 2 {
			w >>= size & 63
			c.numbers[2], size = shortUvarint(w)
			used += size
			if n > 3 {
				w >>= size & 63
				c.numbers[3], size = shortUvarint(w)
				used += size
			}
		}
	}
	if used > 64 || n-1 > 3 { // no such event, or one of more numbers
		return c.long(g)
	}
	c.at = at + int(used/8)
	c.time += int64(float64(int64(since)) * g.freq)
	return true, nil
}

// shortUvarint is binary.Uvarint for a number of up to four bytes, the first of which is the
// lowest of w. It returns the number's size in bits, 64 for a longer number. How long a
// number of several bytes is cannot be foreseen, so for those it has no branches.
func shortUvarint(w uint64) (v uint64, size uint) {
	if w&0x80 == 0 {
		return w & 0x7f, 8
	}
	end := ^w & 0x80808080 // its lowest bit is the highest of the number's last byte
	if end == 0 {
		return 0, 64
	}
	w &= end ^ (end - 1)
	return w&0x7f | w>>1&0x3f80 | w>>2&0x1fc000 | w>>3&0xfe00000, uint(bits.TrailingZeros32(uint32(end))) + 1
}

// long reads any event.
func (c *cursor) long(g *generation) (bool, error) {
	data, at := c.data, c.at
	c.typ = data[at]
	n := arguments[c.typ]
	if n == 0 {
		return false, fmt.Errorf("an event of type %d is none that a thread has", c.typ)
	}
	at++
	for i := range c.numbers[:n] {
		var size int
		if c.numbers[i], size = binary.Uvarint(data[at:]); size <= 0 {
			return false, errCut
		}
		at += size
	}
	c.at = at
	c.time += g.nanoseconds(c.numbers[0])
	return true, nil
}

// arg returns argument i of the event, from 0; its time is none.
func (c *cursor) arg(i int) uint64 { return c.numbers[i+1] }

func (o *order) up(i int) int {
	h := o.frontier
	for i > 0 && h[(i-1)/2].time > h[i].time {
		h[(i-1)/2], h[i] = h[i], h[(i-1)/2]
		i = (i - 1) / 2
	}
	return i
}

func (o *order) down(i int) {
	h := o.frontier
	moved := h[i]
	for {
		least := 2*i + 1
		if least >= len(h) {
			break
		}
		if r := least + 1; r < len(h) && h[r].time < h[least].time {
			least = r
		}
		if moved.time <= h[least].time {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = moved
}

func (o *order) remove(i int) {
	h := o.frontier
	for i > 0 {
		h[(i-1)/2], h[i] = h[i], h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[0] = h[len(h)-1]
	o.frontier = h[:len(h)-1]
	if len(o.frontier) > 0 {
		o.down(0)
	}
}
