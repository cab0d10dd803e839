package traceload

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// cursor reads the events of one thread.
type cursor struct {
	thread  *osThread
	batches []eventBatch // that follow the present one
	data    []byte       // the rest of the present one
	base    int64        // time of the event before
	typ     uint8
	time    int64
	args    [4]uint64
}

// run decodes the whole generation. What was handed to emit before an error holds.
func (o *order) run() error {
	o.threads, o.procs = map[uint64]*osThread{}, map[uint64]*processor{}
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
			o.frontier = append(o.frontier, c)
			o.up(len(o.frontier) - 1)
		}
	}
	samples := o.g.samples
	for len(o.frontier) > 0 && !o.abandoned {
		for len(samples) > 0 && samples[0].time < o.frontier[0].time {
			o.sample(&samples[0])
			samples = samples[1:]
		}
		if ok, err := o.try(0); err != nil {
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

// tryOthers finds an event that may come although the earliest may not.
func (o *order) tryOthers() error {
	slices.SortFunc(o.frontier, func(a, b *cursor) int { // which leaves it a heap
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
	c := o.frontier[0]
	return fmt.Errorf("no thread's next event can come, the first of them of type %d", c.typ)
}

// try takes the next event of frontier[i], if it may come.
func (o *order) try(i int) (bool, error) {
	c := o.frontier[i]
	ok, err := o.advance(c)
	if !ok || err != nil {
		return false, err
	}
	more, err := c.next(o.g)
	switch {
	case err != nil:
		return false, err
	case more:
		if o.up(i) == i {
			o.down(i)
		}
	default:
		o.remove(i)
	}
	return true, nil
}

// next reads the thread's next event; false if there is none.
func (c *cursor) next(g *generation) (bool, error) {
	for len(c.data) == 0 {
		if len(c.batches) == 0 {
			return false, nil
		}
		c.data, c.base = c.batches[0].data, g.nanoseconds(c.batches[0].time)
		c.batches = c.batches[1:]
	}
	data := c.data
	c.typ = data[0]
	n := int(arguments[c.typ])
	if n == 0 {
		return false, fmt.Errorf("an event of type %d is none that a thread has", c.typ)
	}
	at := 1
	var elapsed uint64
	for i := range n {
		var v uint64
		if at < len(data) && data[at] < 0x80 {
			v = uint64(data[at])
			at++
		} else {
			var size int
			if v, size = binary.Uvarint(data[at:]); size <= 0 {
				return false, errCut
			}
			at += size
		}
		if i == 0 {
			elapsed = v
		} else {
			c.args[i-1] = v
		}
	}
	c.data = data[at:]
	c.time = c.base + g.nanoseconds(elapsed)
	c.base = c.time
	return true, nil
}

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
	for {
		least := i
		if l := 2*i + 1; l < len(h) && h[l].time < h[least].time {
			least = l
		}
		if r := 2*i + 2; r < len(h) && h[r].time < h[least].time {
			least = r
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func (o *order) remove(i int) {
	h := o.frontier
	for i > 0 {
		h[(i-1)/2], h[i] = h[i], h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[0] = h[len(h)-1]
	o.frontier = h[:len(h)-1]
	o.down(0)
}
