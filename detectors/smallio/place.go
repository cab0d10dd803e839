package smallio

import (
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// use is what a stack in a system call says, worked out once.
type use struct {
	place    *place // nil: not a read or write that could be gathered
	format   string // the function of the standard library that makes or takes small amounts; "" if none
	logging  bool
	testing  bool
	explicit bool // a buffer is there, and flushed each time
}

var none = new(use)

// use returns what the stack says, never nil.
func (o *observer) use(p *traceload.Program, id traceload.StackID) *use {
	if !o.known(id) {
		o.find(p, id)
	}
	return o.byStack[id]
}

// known tells whether a stack has been looked at.
func (o *observer) known(id traceload.StackID) bool {
	return int(id) < len(o.byStack) && o.byStack[id] != nil
}

func (o *observer) find(p *traceload.Program, id traceload.StackID) {
	if n := int(id) + 1 - len(o.byStack); n > 0 {
		o.byStack = append(o.byStack, make([]*use, n)...)
	}
	o.byStack[id] = o.lookAt(p, p.Stack(id))
}

func (o *observer) lookAt(p *traceload.Program, st *traceload.Stack) *use {
	if st.Site < 0 || p.Frame(st.Frames[st.Site]).Origin != traceload.OriginUser {
		return none // net/http and its like write by their own rules
	}
	if !slices.ContainsFunc(st.Frames[:st.Site+1], func(id traceload.FrameID) bool { return isCall(p.Frame(id).Func) }) {
		return none
	}
	k := key{}
	u := &use{testing: st.Testing || strings.HasSuffix(p.Frame(st.Frames[st.Site]).File, "_test.go")}
	for i, id := range st.Frames {
		f := p.Frame(id)
		if loggers[base(f.Func)] {
			u.logging = true
		}
		if i > st.Site {
			continue
		}
		switch fn := f.Func; {
		case fn == pollWrite:
			k.writes = true
		case fn == "net.(*conn).Write", fn == "net.(*conn).Read":
			k.network = true
		case fn == "bufio.(*Writer).Flush": // by whom?
			u.explicit = true
		case strings.HasPrefix(fn, "bufio."), wholesale[fn]:
			return none
		case i < st.Site && formats(fn): // the outermost is the one that the user called
			u.format = fn
		}
	}
	k.fn = p.Frame(st.Frames[st.Site]).FuncID
	s := o.places[k]
	if s == nil {
		s = &place{key: k, stack: st.ID, use: u, lines: map[traceload.StackID]int{}}
		o.places[k] = s
		o.list = append(o.list, s)
	}
	u.place = s
	return u
}

// The functions that make a system call for each read or write.
const (
	pollRead  = "internal/poll.(*FD).Read"
	pollWrite = "internal/poll.(*FD).Write"
)

func isCall(fn string) bool { return fn == pollRead || fn == pollWrite }

// wholesale are functions of the standard library that move much at a time.
var wholesale = map[string]bool{
	"io.copyBuffer": true, "io.Copy": true, "io.CopyN": true, "io.CopyBuffer": true, "io.ReadAll": true,
	"os.ReadFile": true, "os.WriteFile": true, "os.(*File).ReadFrom": true, "os.(*File).WriteTo": true,
	"net.(*TCPConn).ReadFrom": true, "net.(*TCPConn).WriteTo": true, "net.(*Buffers).WriteTo": true,
	"bytes.(*Buffer).WriteTo": true, "bytes.(*Buffer).ReadFrom": true, "strings.(*Reader).WriteTo": true, "bytes.(*Reader).WriteTo": true,
}

// formats tells whether a function of the standard library writes or reads one
// value, word or line at a time.
func formats(fn string) bool {
	for _, prefix := range [...]string{"fmt.", "encoding/", "io.WriteString", "io.ReadFull", "io.ReadAtLeast", "compress/",
		"text/", "html/template.", "net/textproto."} {
		if strings.HasPrefix(fn, prefix) {
			return true
		}
	}
	return fn == "os.(*File).WriteString"
}

// loggers are the last elements of the paths of packages that log.
var loggers = map[string]bool{
	"log": true, "slog": true, "zap": true, "zapcore": true, "zerolog": true, "logrus": true, "glog": true, "klog": true, "logr": true,
	"log15": true, "lumberjack": true, "logger": true, "logging": true, "hclog": true, "charmlog": true, "apex": true, "phuslog": true,
}

func base(fn string) string {
	pkg := traceload.PackagePath(fn)
	return pkg[strings.LastIndexByte(pkg, '/')+1:]
}
