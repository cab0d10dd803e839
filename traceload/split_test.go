package traceload

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPieces checks that where a generation is cut into pieces makes no difference, nor whether it is a file.
func TestPieces(t *testing.T) {
	for _, rec := range recordings(t) {
		if !ownFormat(headerVersion(rec.data[:headerSize])) {
			continue
		}
		least := longestBatch(rec.data)
		comparePieces(t, rec.name, rec.data, least, least+1, least+least/3)
	}
}

// TestPiecesDamaged checks the same where the trace breaks off or is damaged.
func TestPiecesDamaged(t *testing.T) {
	data := traced(t, func() {
		ping, pong := make(chan int), make(chan int)
		go func() {
			for n := range ping {
				pong <- n
			}
			close(pong)
		}()
		for n := range 12_000 {
			ping <- n
			<-pong
		}
		close(ping)
	})
	const piece = maxBatchSize + 64 // a batch with its header
	if len(data) < 3*piece {
		t.Fatalf("a trace of %d bytes is of too few pieces to tell", len(data))
	}
	comparePieces(t, "whole", data, piece)
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		n := random.IntN(len(data))
		comparePieces(t, "broken off", data[:n], piece)
		bad := slices.Clone(data)
		bad[n] ^= byte(1 + random.IntN(255))
		comparePieces(t, "damaged", bad, piece)
	}
}

// longestBatch returns the length of the longest batch, header and all.
func longestBatch(data []byte) (longest int) {
	in := numbers{data: data, at: headerSize}
	for in.more() {
		begin := in.at
		switch in.byte() {
		case tagEndOfGeneration:
			continue
		case tagExperimentalBatch:
			in.byte()
		}
		in.uvarint()
		in.uvarint()
		in.uvarint()
		size := in.uvarint()
		in.at += int(size)
		longest = max(longest, in.at-begin)
	}
	return longest
}

// comparePieces reads data in pieces of several lengths, as a stream and as a file, and compares that with one piece.
func comparePieces(t *testing.T, name string, data []byte, lengths ...int) {
	t.Helper()
	type timed struct {
		seen
		at Time
	}
	walk := func(in *Input, piece int) (list []timed, info Info, text string) {
		_, info, err := WalkWith(in, func(p *Program, ev *Event) { list = append(list, timed{see(p, ev), ev.Time}) }, nil, Limits{piece: piece})
		if err != nil {
			text = strings.TrimPrefix(err.Error(), in.Source)
		}
		info.Source = ""
		return list, info, text
	}
	want, wantInfo, wantErr := walk(input(t, data), 2*len(data)+1)
	for i, piece := range append(lengths, lengths...) {
		in := input(t, data)
		if i >= len(lengths) {
			in = openFile(t, data)
		}
		got, info, err := walk(in, piece)
		if info != wantInfo || err != wantErr || !slices.Equal(got, want) {
			t.Errorf("%s, %s, %d bytes in pieces of %d: %d events, %+v, %q; in one: %d, %+v, %q",
				name, in.Source, len(data), piece, len(got), info, err, len(want), wantInfo, wantErr)
		}
	}
}

// TestUnderway: another generation may be read when about a quarter of one is decoded, not
// before, and once.
func TestUnderway(t *testing.T) {
	data := traced(t, func() {
		ping := make(chan int)
		go func() {
			for n := range 200_000 {
				ping <- n
			}
			close(ping)
		}()
		for range ping {
		}
	})
	if at := generations(t, data); len(at) != 2 {
		t.Skipf("it took %d generations", len(at)-1)
	}
	p := &pipeline{batches: make(chan *records, 1), turns: make(chan struct{}, 2), stop: make(chan struct{})}
	d := &decoding{generation: &generation{version: headerVersion(data[:headerSize]), pieces: [][]byte{data[headerSize:]}}, out: make(chan *records)}
	go p.decode(d, new(roster))
	events, told := 0, 0
	for b := range d.out {
		events += len(b.list)
		if told == 0 && len(p.turns) > 0 {
			told = events
		}
	}
	if d.err != nil {
		t.Fatal(d.err)
	}
	if events < 20*batchSize || told < events/8 || told > events/2 {
		t.Errorf("at record %d of %d", told, events)
	}
	if n := len(p.turns); n != 1 {
		t.Errorf("%d generations may be read instead", n)
	}
}

// TestBatchesAgain: all batches of a generation are used again for the next ones.
func TestBatchesAgain(t *testing.T) {
	data := traced(t, func() {
		done := make(chan int)
		go close(done)
		<-done
	})
	if at := generations(t, data); len(at) != 2 {
		t.Skipf("it took %d generations", len(at)-1)
	}
	const made = 32 // more than the trace needs, even if earlier tests have left somebody busy
	p := &pipeline{batches: make(chan *records, 2*made), turns: make(chan struct{}, 32), stop: make(chan struct{})}
	for range made {
		p.batches <- &records{list: make([]record, 0, batchSize)}
	}
	for range 3 {
		d := &decoding{generation: &generation{version: headerVersion(data[:headerSize]), pieces: [][]byte{data[headerSize:]}}, out: make(chan *records)}
		go p.decode(d, new(roster))
		var read []*records
		for b := range d.out {
			read = append(read, b)
		}
		if d.err != nil || len(read) == 0 || len(read) >= made {
			t.Fatalf("%d batches, %v", len(read), d.err)
		}
		for _, b := range read {
			p.done(b)
		}
		if n := len(p.batches); n != made {
			t.Fatalf("%d of %d batches are there again", n, made)
		}
	}
}
