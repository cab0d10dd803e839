package dense

import "github.com/tracedoc/tracedoc/traceload"

// Answers remembers the answers to one question about stacks, yes or no.
type Answers struct {
	byStack ByID[traceload.StackID, answer]
}

type answer uint8

const (
	unasked answer = iota
	no
	yes
)

// No tells whether the answer for a stack is known, and no.
func (t *Answers) No(id traceload.StackID) bool { return t.byStack.Get(id) == no }

// Of returns the answer for a stack; find is called the first time.
func (t *Answers) Of(p *traceload.Program, id traceload.StackID, find func(*traceload.Program, traceload.StackID) bool) bool {
	a := t.byStack.At(id)
	if *a == unasked {
		*a = no
		if find(p, id) {
			*a = yes
		}
	}
	return *a == yes
}
