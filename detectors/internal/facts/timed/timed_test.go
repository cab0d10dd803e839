package timed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

const program = `package main

import (
	"context"
	"time"
)

type hub struct {
	events chan string
	done   chan struct{}
}

func (h *hub) pause(ctx context.Context) {
	select { // pause
	case <-ctx.Done():
	case <-h.done:
	case <-time.After(time.Second):
	}
}

func (h *hub) next() {
	timer := time.NewTimer(time.Second)
	select { // answer
	case <-h.events:
	case <-timer.C:
	}
}

func ask(work func(chan int)) {
	for {
		c := make(chan int, 1)
		work(c)
		select { // reply
		case <-c:
		case <-time.After(time.Second):
		}
	}
}

func loop(events func(chan int)) {
	c := make(chan int)
	events(c)
	for {
		select { // answer
		case <-c:
		case <-time.After(time.Second):
		}
	}
}

func beat(ctx context.Context) {
	t := time.NewTicker(time.Second)
	for {
		select { // ticker
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func main() {}
`

func TestSelectAt(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.24\n", "main.go": program} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := source.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]func(Select) bool{
		"pause":  func(s Select) bool { return s.Pause && s.After && !s.Ticker && !s.Answer },
		"answer": func(s Select) bool { return s.Answer && !s.Reply && !s.Pause },
		"reply":  func(s Select) bool { return s.Reply && s.Answer && s.After },
		"ticker": func(s Select) bool { return s.Ticker && s.Pause },
	}
	checked := 0
	for i, line := range strings.Split(program, "\n") {
		_, want, ok := strings.Cut(line, "select { // ")
		if !ok {
			continue
		}
		checked++
		if got := SelectAt(tree, &traceload.Frame{File: filepath.Join(dir, "main.go"), Line: i + 1}); !words[want](got) {
			t.Errorf("line %d: %+v is not what a %s looks like", i+1, got, want)
		}
	}
	if checked != 5 {
		t.Errorf("%d selects checked, want 5", checked)
	}
	if got := SelectAt(nil, &traceload.Frame{}); got != (Select{}) {
		t.Errorf("without source: %+v", got)
	}
	if got := LoopAt(nil, &traceload.Frame{}); got != Unknown {
		t.Errorf("without source: loop %d", got)
	}
}
