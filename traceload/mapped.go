package traceload

import (
	"errors"
	"io"
	"runtime/debug"
	"time"
)

// A trace that is a plain file is not copied into buffers but mapped into memory, where the
// operating system can do that: what was read before is there already, while fresh buffers
// have to be cleared first, by one processor, before anything can be decoded.
//
// Whoever reads mapped memory may find it gone, if somebody makes the file shorter meanwhile.
// That is a panic in the goroutines that do so (debug.SetPanicOnFault): of split, and of those
// that decode. What others need of a generation is copied for them (generation.table).

// mapping is a file in memory.
type mapping struct {
	in   *Input
	data []byte
}

var errShortened = errors.New("the file became shorter while it was read")

// mapped returns the file that an input is, in memory, if there is something behind an
// offset; nil if it is none that can be.
func (in *Input) mapped(behind int64) *mapping {
	if in.file == nil || in.packing != "" || in.Size <= behind || int64(int(in.Size)) != in.Size {
		return nil
	}
	data := mapFile(in.file, int(in.Size))
	if data == nil {
		return nil
	}
	in.closers = append(in.closers, func() error { return unmapFile(data) })
	return &mapping{in, data}
}

// resume has Read go on at an offset of the file.
func (in *Input) resume(offset int64) error {
	if _, err := in.file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	in.packed.Store(offset)
	in.r.Reset(&countingReader{in.file, &in.packed})
	return nil
}

// split is pipeline.split for a file in memory. After it, the scanner reads on behind.
func (m *mapping) split(p *pipeline) (err error) {
	s := p.scanner
	defer func() {
		if v := recover(); v != nil {
			err = failure(v)
		}
		if e := m.in.resume(s.offset); err == nil {
			err = e
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if !p.turn() {
		return nil
	}
	begin := s.offset // of the present generation
	for index := 0; ; {
		from, at := s.offset, time.Now()
		to, err := m.want(from, min(from+int64(p.piece), int64(len(m.data))))
		n, err := s.pass(m.data[from:to], err)
		p.reading += time.Since(at)
		m.in.packed.Store(s.offset)
		for ; index+1 < len(s.starts); index++ { // the next has begun, so this one is over
			end := s.starts[index+1]
			if !p.hand(index, [][]byte{m.data[begin:end:end]}, end) || !p.turn() {
				return nil
			}
			begin = end
		}
		if err == nil && to == int64(len(m.data)) {
			err = io.EOF
		}
		if s.state == scanLost || err != nil {
			return p.tail(index, nil, m.data[begin:from+int64(n)], begin, err)
		}
	}
}

// want has a part of the file read. It returns how far it got, and why no further.
func (m *mapping) want(from, to int64) (int64, error) {
	if populate(m.data, int(from), int(to)) == nil {
		return to, nil
	}
	n, err := m.in.file.ReadAt(make([]byte, to-from), from) // this tells why; or it is there by now
	return from + int64(n), err
}

// failure returns what a panic means: that mapped memory is gone, or else damage.
func failure(v any) error {
	if _, ok := v.(interface{ Addr() uintptr }); ok {
		return errShortened
	}
	return &damage{v}
}
