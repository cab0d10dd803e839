package traceload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// headerSize is the length of the header of every trace, "go 1.NN trace\0\0\0".
const headerSize = 16

// The first byte of what stands between generations and batches, from
// internal/trace/tracev2 (EvEventBatch, EvExperimentalBatch, EvEndOfGeneration).
const (
	tagEventBatch        = 1
	tagExperimentalBatch = 49
	tagEndOfGeneration   = 52
)

// generationScanner passes a trace on unchanged and notes, from the headers of
// the batches, at which byte each generation begins. The payload of a batch
// is skipped, so this runs at the speed of memory.
//
//	header │ batch(gen 1) batch(gen 1) … [end] │ batch(gen 2) … [end] │ …
//	       └ starts[0]                         └ starts[1]            └ starts[2]
//
// What is no batch (the formats up to Go 1.21, damage) ends the scan for good;
// the bytes are passed on and counted all the same.
type generationScanner struct {
	r      io.Reader
	offset int64   // bytes passed on
	starts []int64 // the offset at which each generation begins
	err    error   // what r failed with, other than io.EOF

	header  [headerSize]byte
	version int // 22 for "go 1.22 trace", 0 as long as unknown

	state  scanState
	skip   uint64 // payload bytes still to skip
	fields int    // numbers of the batch header read so far
	value  uint64 // the number being read
	shift  uint
	begin  int64  // the offset at which the present batch begins
	gen    uint64 // the generation that we are in; 0 before the first and after an end mark
}

type scanState uint8

const (
	scanHeader scanState = iota
	scanTag
	scanExperiment
	scanNumbers
	scanPayload
	scanLost
)

// Read implements io.Reader.
func (s *generationScanner) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.scan(p[:n])
	if err != nil && !errors.Is(err, io.EOF) && s.err == nil {
		s.err = err
	}
	return n, err
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
		if s.fields == 0 && s.value != s.gen {
			s.gen = s.value
			s.starts = append(s.starts, s.begin)
		}
		s.fields++
		if s.fields == 4 {
			s.skip, s.state = s.value, scanPayload
			if s.skip == 0 {
				s.state = scanTag
			}
		}
		s.value, s.shift = 0, 0
	}
}

// start returns the offset at which generation i (from 0) begins; the number
// of bytes seen if no such generation was seen.
func (s *generationScanner) start(i int) int64 {
	if i < len(s.starts) {
		return s.starts[i]
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
