package traceload

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
)

// StringID is a comparable handle of a string in the trace; zero is "".
type StringID uint32

// FrameID is a comparable handle of a frame (function, file, line); zero is none.
type FrameID uint32

// FuncID is a comparable handle of a function name; zero is none.
type FuncID uint32

// StackID is a comparable handle of a stack: equal frames have equal ids
// throughout the trace. Zero means that no stack was recorded.
type StackID uint32

// tables holds everything that ids refer to. They only ever grow; a snapshot
// (a copy of the slice headers) stays valid while the decoder appends, so a
// reader on another goroutine needs no lock.
type tables struct {
	strings []string
	frames  []Frame
	stacks  []*Stack
	// What observers ask for at every event, by StackID: the frames that
	// Program.SiteID and Program.EntryID return.
	sites, outermost []FrameID
	tested           bool // one of the stacks has a frame of package testing
}

// interner builds tables. It belongs to the decoder's goroutine.
type interner struct {
	tables
	stringIDs map[string]StringID
	funcIDs   map[StringID]FuncID
	frameIDs  map[frameKey]FrameID
	stackIDs  map[uint64][]StackID // by hash of the frames
	seed      maphash.Seed
	hashed    []byte // room for what is
	userTexts int
}

type frameKey struct {
	fn, file StringID
	line     int
}

func newInterner() *interner {
	in := &interner{
		stringIDs: map[string]StringID{},
		funcIDs:   map[StringID]FuncID{},
		frameIDs:  map[frameKey]FrameID{},
		stackIDs:  map[uint64][]StackID{},
		seed:      maphash.MakeSeed(),
	}
	for id, s := range knownStrings { // so that their ids are constants
		if in.string(s) != StringID(id) {
			panic("traceload: knownStrings holds a word twice: " + s)
		}
	}
	in.frames = append(in.frames, Frame{})
	in.add(&Stack{Site: -1, Owner: -1})
	return in
}

// string returns the id of s. What is stored is a copy, so that s may be part
// of a generation's tables.
func (in *interner) string(s string) StringID {
	if id, ok := in.stringIDs[s]; ok {
		return id
	}
	return in.newString(strings.Clone(s))
}

// bytes is string for the bytes of one.
func (in *interner) bytes(s []byte) StringID {
	if id, ok := in.stringIDs[string(s)]; ok {
		return id
	}
	return in.newString(string(s))
}

func (in *interner) newString(s string) StringID {
	id := StringID(len(in.strings))
	in.strings = append(in.strings, s)
	in.stringIDs[s] = id
	return id
}

// What the traced program writes into its own trace (log messages, names of
// tasks and regions) may differ from call to call; memory must not grow with it.
const (
	userTextLen   = 200    // bytes kept of one text
	userTextCount = 20_000 // different texts kept; later ones have no id
)

// userText is string for texts that the traced program made up.
func (in *interner) userText(s string) StringID {
	if len(s) > userTextLen {
		s = s[:userTextLen]
	}
	if id, ok := in.stringIDs[s]; ok {
		return id
	}
	if in.userTexts >= userTextCount {
		return textNone
	}
	in.userTexts++
	return in.string(s)
}

// frame returns the id of a frame in the function and the file of these names.
func (in *interner) frame(fn, file StringID, line int) FrameID {
	key := frameKey{fn, file, line}
	if id, ok := in.frameIDs[key]; ok {
		return id
	}
	funcID, ok := in.funcIDs[fn]
	if !ok {
		funcID = FuncID(len(in.funcIDs) + 1)
		in.funcIDs[fn] = funcID
	}
	id := FrameID(len(in.frames))
	in.frames = append(in.frames, newFrame(funcID, in.strings[fn], in.strings[file], line))
	in.frameIDs[key] = id
	return id
}

// stack returns the id of the stack with these frames, innermost first. The
// stack of a goroutine that was found parked and that of one that was seen to
// park at the same place get the same id.
func (in *interner) stack(whole []FrameID) StackID {
	if len(whole) == 0 {
		return 0
	}
	frames, parked := trimParking(whole, in.frames)
	in.hashed = in.hashed[:0]
	for _, f := range frames {
		in.hashed = binary.LittleEndian.AppendUint32(in.hashed, uint32(f))
	}
	sum := maphash.Bytes(in.seed, in.hashed)
	for _, id := range in.stackIDs[sum] {
		s := in.stacks[id]
		if slices.Equal(s.Frames, frames) && (parked == textNone || s.Derived == newStack(id, frames, parked, in.frames).Derived) {
			return id
		}
	}
	id := StackID(len(in.stacks))
	in.add(newStack(id, slices.Clone(frames), parked, in.frames))
	in.stackIDs[sum] = append(in.stackIDs[sum], id)
	return id
}

// add appends a stack to the tables.
func (in *interner) add(s *Stack) {
	var site, outermost FrameID
	if s.Site >= 0 {
		site = s.Frames[s.Site]
	}
	if n := len(s.Frames); n > 0 {
		outermost = s.Frames[n-1]
	}
	in.stacks = append(in.stacks, s)
	in.sites = append(in.sites, site)
	in.outermost = append(in.outermost, outermost)
	in.tested = in.tested || s.Testing
}
