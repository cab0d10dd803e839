package traceload

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
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
// How far they may run ahead is bounded: split begins to read a generation when a quarter of
// one before it is decoded, which leaves time enough to unpack it. By then the walk is through
// with what was before that, so there are two in memory for one that is decoded at a time.
// And a generation may have some batches ready.
type pipeline struct {
	scanner *generationScanner
	memory  *budget
	mapping *mapping       // of what is read; nil if it is read into buffers
	order   chan *decoding // generations, in order
	work    chan *decoding // the same, for whoever decodes
	turns   chan struct{}  // one for each generation that split may begin to read
	stop    chan struct{}
	batches chan *records // that were read, to be used again
	pieces  chan []byte   // of generations that the walk is through with, to read others into
	piece   int           // the length of one
	slab    []byte        // what is left of the latest slab of them; of split's goroutine
	given   int           // of them, outside of slabs
	jobs    sync.WaitGroup

	decoding atomic.Int64 // nanoseconds that decoders were at work

	// What the walk reads after order is closed.
	err     error // why there are no more; nil at the end of the trace
	reading time.Duration
}

// decoding is a generation that is being decoded.
type decoding struct {
	*generation
	out chan *records // closed after the last

	// What the walk reads after out is closed.
	events int64
	err    error
}

// readyBatches is how many batches of one generation may wait for the walk: more than one
// lane may lag behind another, so that decoding goes on meanwhile.
const readyBatches = 6

// startPipeline reads on from a scanner that has passed the header.
func startPipeline(s *generationScanner, jobs int, limits Limits) *pipeline {
	memory := cmp.Or(limits.Memory, defaultMemory)
	piece := cmp.Or(limits.piece, pieceSize)
	p := &pipeline{
		scanner: s,
		memory:  newBudget(memory),
		order:   make(chan *decoding, max(jobs-1, 1)),
		work:    make(chan *decoding),
		turns:   make(chan struct{}, jobs),
		stop:    make(chan struct{}),
		batches: make(chan *records, (jobs+2)*(readyBatches+2)+readyParts), // room for all there are
		pieces:  make(chan []byte, min(max(memory/int64(piece), 2), maxFree)),
		piece:   piece,
	}
	if in, ok := s.r.(*Input); ok {
		p.mapping = in.mapped(s.offset)
	}
	for range jobs {
		p.turns <- struct{}{}
	}
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
			debug.SetPanicOnFault(p.mapping != nil)
			var used roster
			for d := range p.work {
				p.decode(d, &used)
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

// pieceSize is how much of a generation is read into one buffer, of which maxFree are
// kept. Buffers are small and used again, since a large one costs more than its bytes:
// fresh memory, and a collector that has to wait until all of it is copied.
const (
	pieceSize = 1 << 20
	maxFree   = 1 << 12
)

// split cuts the trace into generations. The error says why there are no more.
func (p *pipeline) split() error {
	if p.mapping != nil {
		return p.mapping.split(p)
	}
	s := p.scanner
	if !p.turn() {
		return nil
	}
	var full [][]byte // of the present generation
	piece := p.buffer()
	begin := s.offset // where piece begins in the trace
	for index := 0; ; {
		if len(piece) == cap(piece) {
			end := s.offset
			if s.state != scanTag && s.begin > begin { // the next piece shall begin with a batch
				end = s.begin
			}
			next := append(p.buffer(), piece[end-begin:]...)
			full, piece, begin = append(full, piece[:end-begin]), next, end
		}
		at := time.Now()
		n, err := s.Read(piece[len(piece):cap(piece)])
		p.reading += time.Since(at)
		piece = piece[:len(piece)+n]
		for index+1 < len(s.starts) { // the next has begun, so this one is over
			end := s.starts[index+1]
			next := append(p.buffer(), piece[end-begin:]...)
			if !p.hand(index, append(full, piece[:end-begin]), end) || !p.turn() {
				return nil
			}
			full, piece, begin = nil, next, end
			index++
		}
		if s.state == scanLost || err != nil {
			return p.tail(index, full, piece, begin, err)
		}
	}
}

// buffer returns an empty buffer for a piece.
func (p *pipeline) buffer() []byte {
	select {
	case b := <-p.pieces:
		return b
	default:
		return p.fresh()
	}
}

// fresh returns a buffer that is new, a part of a slab from the second on: large pages, of
// which slabs are made where the operating system has them, cost the kernel much less to
// hand out than as many bytes in small ones.
func (p *pipeline) fresh() []byte {
	if len(p.slab) < p.piece {
		if p.given++; p.given <= smallFirst || p.piece > slabSize/2 {
			return make([]byte, 0, p.piece)
		}
		p.slab = make([]byte, slabSize)
		wantLargePages(p.slab)
	}
	b := p.slab[:0:p.piece]
	p.slab = p.slab[p.piece:]
	return b
}

// slabSize is how many bytes of buffers are made at a time once there are smallFirst.
const (
	slabSize   = 16 << 20
	smallFirst = 2
)

// tail hands on what is left at the end of the input, or where it is no trace any
// more, if that is a whole generation.
func (p *pipeline) tail(index int, full [][]byte, piece []byte, begin int64, err error) error {
	s := p.scanner
	if s.whole() > index {
		end := s.offset
		if s.state != scanTag { // a batch that breaks off follows
			end = s.begin
		}
		if !p.hand(index, append(full, piece[:end-begin]), end) {
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
func (p *pipeline) hand(index int, pieces [][]byte, end int64) bool {
	g := &generation{index: index, version: p.scanner.version, pieces: pieces, mapped: p.mapping != nil, end: end}
	p.memory.take(g.size())
	d := &decoding{
		generation: g,
		out:        make(chan *records, readyBatches),
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

// turn waits until the next generation may be read. It returns false after close.
func (p *pipeline) turn() bool {
	select {
	case <-p.turns:
		return true
	case <-p.stop:
		return false
	}
}

// finished lets go of a generation that the walk is through with.
func (p *pipeline) finished(d *decoding) {
	size := d.size()
	p.memory.giveBack(size)
	if p.mapping != nil {
		forget(p.mapping.data, int(d.end-size), int(d.end))
		return
	}
	for _, piece := range d.pieces {
		select {
		case p.pieces <- piece[:0]:
		default:
		}
	}
	d.pieces = nil
}

// decode decodes one generation. used is a roster of one before.
func (p *pipeline) decode(d *decoding, used *roster) {
	defer close(d.out)
	used.clear()
	o := order{g: d.generation, out: p.batch(), roster: *used}
	defer func() { *used = o.roster }()
	since := time.Now() // it is at work
	o.emit = func() {
		p.decoding.Add(int64(time.Since(since)))
		select {
		case d.out <- o.out:
			o.out = p.batch()
		case <-p.stop:
			o.abandoned = true
			o.out.reset()
		}
		since = time.Now()
	}
	defer func() {
		if v := recover(); v != nil {
			d.err = failure(v)
		}
		d.events = o.events
		o.out.untold()
		if len(o.out.list) > 0 {
			o.emit()
		}
		p.done(o.out) // which nobody has seen
	}()
	d.underway = sync.OnceFunc(func() { p.turns <- struct{}{} }) // never blocks: it has room for all there are
	defer d.underway()
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

// batch returns an empty batch.
func (p *pipeline) batch() *records {
	select {
	case b := <-p.batches:
		return b
	default:
	}
	b := &records{list: make([]record, 0, batchSize)}
	b.part = part{records: b, release: func() { p.done(b) }}
	return b
}

// done takes back a batch that was read.
func (p *pipeline) done(b *records) {
	b.reset()
	select {
	case p.batches <- b:
	default:
	}
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
