package traceload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// headerSize is the length of the header of every trace, "go 1.NN trace\0\0\0".
const headerSize = 16

// The first byte of what stands between generations and batches, from
// internal/trace/tracev2 (EvEventBatch, EvExperimentalBatch, EvEndOfGeneration),
// and the first byte of a batch of strings (EvStrings).
const (
	tagEventBatch        = 1
	tagStrings           = 4
	tagExperimentalBatch = 49
	tagEndOfGeneration   = 52
)

// maxGeneration is the length in bytes of a generation (up to Go 1.21: of a
// trace) that is still read. x/exp/trace holds it in memory several times over.
// A machine of 100 processors writes less than that in the second that a
// generation lasts; a damaged or malicious file may claim more.
const maxGeneration = 4 << 30

// generationScanner passes a trace on unchanged and notes, from the headers of
// the batches, at which byte each generation begins and whether the last one is
// whole. The payload of a batch is skipped, so this runs at the speed of memory.
//
//	header │ events(gen 1) … stacks(gen 1) strings(gen 1) [end] │ events(gen 2) …
//	       └ starts[0]                                          └ starts[1]
//
// Only from Go 1.26 on does a mark tell where a generation ends. Before, it is
// whole if its last batch is one of strings, which the runtime writes last.
//
// What is no batch (the formats up to Go 1.21, damage) ends the scan for good;
// the bytes are passed on and counted all the same. Except where the number of
// a generation is wrong, before Go 1.26: x/exp/trace finds that out when it has
// read the generation before, and throws that away. So it gets an error instead,
// as it does where a generation is longer than limit.
type generationScanner struct {
	r      io.Reader
	limit  int64   // of a generation, in bytes
	offset int64   // bytes read
	starts []int64 // the offset at which each generation begins
	err    error   // what r failed with, other than io.EOF
	gap    error   // why no more is passed on

	header  [headerSize]byte
	version int // 22 for "go 1.22 trace", 0 as long as unknown

	state  scanState
	skip   uint64 // payload bytes still to skip
	kind   byte   // first payload byte of the latest batch; 0 if it is empty
	fields int    // numbers of the batch header read so far, of four
	value  uint64 // the number being read
	shift  uint
	begin  int64  // the offset at which the present batch begins, or what is none
	gen    uint64 // the generation that we are in; 0 before the first and after an end mark
}

type scanState uint8

const (
	scanHeader scanState = iota
	scanTag
	scanExperiment
	scanNumbers
	scanKind
	scanPayload
	scanLost
)

// readHeader reads the header; version and offset tell how far it got.
func (s *generationScanner) readHeader() {
	_, err := io.ReadFull(s, make([]byte, headerSize))
	_ = err // the scanner keeps what is no end of the input
}

// Read implements io.Reader.
func (s *generationScanner) Read(p []byte) (int, error) {
	if s.gap != nil {
		return 0, s.gap
	}
	n, err := s.r.Read(p)
	return s.pass(p[:n], err)
}

// pass takes what was read, and why there is no more, if there is not. It returns how much of
// it is to be passed on, and why no more.
func (s *generationScanner) pass(p []byte, err error) (int, error) {
	before := s.offset
	s.scan(p)
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	switch {
	case s.gap != nil: // found in a header that shall not be passed on
		return int(max(0, s.begin-before)), s.gap
	case s.offset-s.latest() > s.limit:
		s.gap = fmt.Errorf("a generation is longer than %d bytes", s.limit)
		return len(p), s.gap
	}
	return len(p), err
}

// latest returns the offset at which the present generation begins.
func (s *generationScanner) latest() int64 {
	if len(s.starts) == 0 {
		return 0
	}
	return s.starts[len(s.starts)-1]
}

// drain counts what nobody reads any more, to the end.
func (s *generationScanner) drain() {
	s.gap, s.limit = nil, math.MaxInt64
	_, err := io.Copy(io.Discard, s)
	_ = err // why reading ended is told already
}

func (s *generationScanner) scan(p []byte) {
	for len(p) > 0 {
		switch s.state {
		case scanPayload:
			n := min(s.skip, uint64(len(p)))
			s.skip -= n
			s.offset += int64(n)
			p = p[n:]
			if s.skip == 0 {
				s.state = scanTag
			}
			continue
		case scanLost:
			s.offset += int64(len(p))
			return
		}
		s.step(p[0])
		s.offset++
		p = p[1:]
	}
}

// step takes one byte outside a payload; s.offset is where it stands.
func (s *generationScanner) step(b byte) {
	switch s.state {
	case scanHeader:
		s.header[s.offset] = b
		if s.offset == headerSize-1 {
			s.version = headerVersion(s.header[:])
			s.state = scanTag
			if s.version < 22 {
				s.state = scanLost
			}
		}
	case scanTag:
		s.begin, s.fields, s.value, s.shift = s.offset, 0, 0, 0
		switch b {
		case tagEventBatch:
			s.state = scanNumbers
		case tagExperimentalBatch:
			s.state = scanExperiment
		case tagEndOfGeneration:
			s.gen = 0
		default:
			s.state = scanLost
		}
	case scanExperiment:
		s.state = scanNumbers
	case scanNumbers: // generation, thread, time, size
		if s.shift > 63 {
			s.state = scanLost
			return
		}
		s.value |= uint64(b&0x7f) << s.shift
		s.shift += 7
		if b&0x80 != 0 {
			return
		}
		if s.fields == 0 && !s.enter(s.value) {
			s.state = scanLost
			return
		}
		s.fields++
		if s.fields == 4 {
			s.skip, s.kind, s.state = s.value, 0, scanKind
			if s.skip == 0 {
				s.state = scanTag
			}
		}
		s.value, s.shift = 0, 0
	case scanKind:
		s.kind = b
		s.skip--
		s.state = scanPayload
		if s.skip == 0 {
			s.state = scanTag
		}
	}
}

// enter takes the generation number of a batch that begins at s.begin. It tells
// whether that can be.
func (s *generationScanner) enter(gen uint64) bool {
	switch {
	case gen == s.gen && gen != 0:
		return true
	case s.version < 26 && s.gen != 0 && gen != s.gen+1:
		s.gap = fmt.Errorf("generation %d follows on generation %d", gen, s.gen)
		return false
	case gen == 0: // the runtime never writes it
		return false
	}
	s.gen = gen
	s.starts = append(s.starts, s.begin)
	return true
}

// whole returns how many of the generations seen so far are whole: all of them,
// or all but the last.
func (s *generationScanner) whole() int {
	n := len(s.starts)
	if n == 0 {
		return 0
	}
	ended := s.gen == 0
	if s.version < 26 {
		between := s.state == scanTag || s.fields == 0 // the generation of what comes next is not known
		ended = between && s.kind == tagStrings
	}
	if !ended {
		n--
	}
	return n
}

// start returns the offset at which generation i (from 0) begins; where no such
// generation was seen, that of what follows the others.
func (s *generationScanner) start(i int) int64 {
	switch {
	case i < len(s.starts):
		return s.starts[i]
	case s.state != scanTag && s.begin > 0:
		return s.begin
	}
	return s.offset
}

// headerVersion returns 22 for "go 1.22 trace\0\0\0"; 0 for what is no such header.
func headerVersion(h []byte) int {
	rest, ok := bytes.CutPrefix(h, []byte("go 1."))
	if !ok {
		return 0
	}
	num, rest, ok := bytes.Cut(rest, []byte(" trace"))
	if !ok || len(bytes.Trim(rest, "\x00")) != 0 {
		return 0
	}
	v, err := strconv.Atoi(string(num))
	if err != nil || v <= 0 {
		return 0
	}
	return v
}

// formatName is the word for a trace format in reports: "go1.26".
func formatName(version int) string { return fmt.Sprintf("go1.%d", version) }
