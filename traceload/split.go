package traceload

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A trace is read in three steps that run side by side:
//
//	split        one goroutine cuts the trace into generations
//	decode       some goroutines each decode one generation, into batches of records
//	Walk         the caller's takes the batches, generation by generation, in order
//
// How far decoding may run ahead is bounded by the number of generations that are
// in memory, and by the batches that one may have ready.
type pipeline struct {
	scanner *generationScanner
	memory  *budget
	order   chan *decoding // generations, in order
	work    chan *decoding // the same, for whoever decodes
	stop    chan struct{}
	batches sync.Pool   // of *[]record
	buffers chan []byte // of generations that the walk is through with, to read others into
	jobs    sync.WaitGroup

	decoding atomic.Int64 // nanoseconds that decoders were at work

	// What the walk reads after order is closed.
	err     error // why there are no more; nil at the end of the trace
	reading time.Duration
}

// decoding is a generation that is being decoded.
type decoding struct {
	*generation
	out chan []record // closed after the last

	// What the walk reads after out is closed.
	events int64
	err    error
}

// readyBatches is how many batches of one generation may wait for the walk.
const readyBatches = 16

// startPipeline reads on from a scanner that has passed the header.
func startPipeline(s *generationScanner, jobs int, memory int64) *pipeline {
	p := &pipeline{
		scanner: s,
		memory:  newBudget(memory),
		order:   make(chan *decoding, jobs),
		work:    make(chan *decoding, jobs),
		stop:    make(chan struct{}),
		buffers: make(chan []byte, 2),
	}
	p.batches.New = func() any { b := make([]record, 0, batchSize); return &b }
	p.jobs.Add(1 + jobs)
	go func() {
		defer p.jobs.Done()
		defer close(p.order)
		defer close(p.work)
		p.err = p.split()
	}()
	for range jobs {
		go func() {
			defer p.jobs.Done()
			for d := range p.work {
				p.decode(d)
			}
		}()
	}
	return p
}

// close ends all that the pipeline has started.
func (p *pipeline) close() {
	close(p.stop)
	p.memory.lift()
	for d := range p.order {
		for range d.out {
		}
	}
	p.jobs.Wait()
}

// split cuts the trace into generations. The error says why there are no more.
func (p *pipeline) split() error {
	const least = 1 << 20 // room to read into
	s := p.scanner
	var data []byte
	begin := s.offset // where data begins in the trace
	for index := 0; ; {
		if cap(data)-len(data) < least/4 {
			data = append(make([]byte, 0, 2*cap(data)+least), data...)
		}
		at := time.Now()
		n, err := s.Read(data[len(data):cap(data)])
		p.reading += time.Since(at)
		data = data[:len(data)+n]
		for index+1 < len(s.starts) { // the next has begun, so this one is over
			end := s.starts[index+1]
			rest := data[end-begin:]
			next := append(p.buffer(max(len(rest)+least, cap(data)/4)), rest...)
			if !p.hand(index, data[s.starts[index]-begin:end-begin], end) {
				return nil
			}
			data, begin = next, end
			index++
		}
		if s.state == scanLost || err != nil {
			return p.tail(index, data, begin, err)
		}
	}
}

// buffer returns an empty buffer with room for n bytes or more.
func (p *pipeline) buffer(n int) []byte {
	select {
	case b := <-p.buffers:
		if cap(b) >= n {
			return b
		}
	default:
	}
	return make([]byte, 0, n)
}

// tail hands on what is left at the end of the input, or where it is no trace any
// more, if that is a whole generation.
func (p *pipeline) tail(index int, data []byte, begin int64, err error) error {
	s := p.scanner
	if s.whole() > index {
		end := s.offset
		if s.state != scanTag { // a batch that breaks off follows
			end = s.begin
		}
		if !p.hand(index, data[s.starts[index]-begin:end-begin], end) {
			return nil
		}
	}
	switch {
	case s.gap != nil:
		return s.gap
	case s.err != nil:
		return s.err
	case s.state == scanLost:
		return fmt.Errorf("what follows byte %d is no batch of events", s.begin)
	case len(s.starts) > s.whole():
		return errors.New("the trace ends before this generation does")
	case err == io.EOF:
		return nil
	}
	return err
}

// hand gives a generation to whoever decodes it next. It returns false after close.
func (p *pipeline) hand(index int, data []byte, end int64) bool {
	p.memory.take(int64(len(data)))
	d := &decoding{
		generation: &generation{index: index, version: p.scanner.version, data: data, end: end},
		out:        make(chan []record, readyBatches),
	}
	select {
	case p.order <- d:
	case <-p.stop:
		close(d.out)
		return false
	}
	select {
	case p.work <- d:
	case <-p.stop:
		close(d.out)
		return false
	}
	return true
}

// finished lets go of a generation that the walk is through with.
func (p *pipeline) finished(d *decoding) {
	p.memory.giveBack(int64(len(d.data)))
	select {
	case p.buffers <- d.data[:0]:
	default:
	}
	d.data = nil
}

// decode decodes one generation.
func (p *pipeline) decode(d *decoding) {
	defer close(d.out)
	o := order{g: d.generation, out: *p.batches.Get().(*[]record)}
	since := time.Now() // it is at work
	o.emit = func() {
		p.decoding.Add(int64(time.Since(since)))
		select {
		case d.out <- o.out:
			o.out = *p.batches.Get().(*[]record)
		case <-p.stop:
			o.out, o.abandoned = o.out[:0], true
		}
		since = time.Now()
	}
	defer func() {
		if v := recover(); v != nil {
			d.err = &damage{v}
		}
		d.events = o.events
		if len(o.out) > 0 {
			o.emit()
		}
	}()
	select {
	case <-p.stop:
		return
	default:
	}
	if d.err = d.parse(); d.err == nil {
		d.err = o.run()
	}
}

// failure says why the generation could not be decoded to its end; events counts
// those of all generations so far.
func (d *decoding) failure(events int64) error {
	if broken := (*damage)(nil); errors.As(d.err, &broken) {
		return fmt.Errorf("damaged at event %d: %s", events, firstLine(d.err))
	}
	if d.err != nil {
		return brokenOff(d.index, events, d.err)
	}
	return nil
}

// done takes back a batch that was read.
func (p *pipeline) done(b []record) {
	b = b[:0]
	p.batches.Put(&b)
}

// budget bounds how many bytes of generations are in memory. One is let through
// however large it is, since without it nothing would go on.
type budget struct {
	mu        sync.Mutex
	changed   sync.Cond
	limit     int64
	taken     int64
	most      int64 // that was taken at a time
	unlimited bool
}

func newBudget(limit int64) *budget {
	b := &budget{limit: limit}
	b.changed.L = &b.mu
	return b
}

// take waits until there is room for n bytes.
func (b *budget) take(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.taken > 0 && b.taken+n > b.limit && !b.unlimited {
		b.changed.Wait()
	}
	b.taken += n
	b.most = max(b.most, b.taken)
}

func (b *budget) giveBack(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken -= n
	b.changed.Signal()
}

// lift ends the bound.
func (b *budget) lift() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlimited = true
	b.changed.Broadcast()
}
