package detectors

import (
	"fmt"
	"slices"
	"strings"
)

// KnownWait is a row of the table of well-known waits: a function in which
// goroutines are meant to wait, or one whose waiting says that something was
// forgotten. Users add rows for functions of their own, see Config.
type KnownWait struct {
	// Func is the function as a trace names it: "net/http.(*Server).Serve",
	// "example.com/app.(*Pool).run". Type arguments and the version in an
	// import path ("/v2") are left out on both sides. A name that ends in
	// ".func" means any function literal in it. A goroutine fits if the
	// function is on its stack with nothing but its own module and the standard
	// library inside it: what a callback of another module waits for is not known.
	Func string
	// Wait is the runtime's word for the wait ("chan receive", "select", …); "" fits any.
	Wait string
	// Why is the reason for the row. It completes "it", as in "accepts
	// connections until it is closed".
	Why string
	// Forgot is "" for a goroutine at rest. Otherwise the goroutine exists only
	// until somebody does something, and this is what nobody did: "closes the rows".
	Forgot string
	// InUse is a function in which whoever will do it may still be at work; "" if there is none.
	InUse string
}

// KnownWaitWords are the words that KnownWait.Wait can be.
var KnownWaitWords = []string{"chan receive", "chan send", "select", "sync", "sync.(*Cond).Wait", "network", "sleep"}

// Validate says in one line what is wrong with a row; nil if nothing is.
func (k KnownWait) Validate() error {
	switch {
	case k.Func == "":
		return fmt.Errorf("known wait: no function")
	case !strings.Contains(k.Func, ".") || strings.ContainsAny(k.Func, " \t\n|"):
		return fmt.Errorf("known wait %q: not a function as traces name it, such as example.com/app.(*Pool).run", k.Func)
	case k.Why == "":
		return fmt.Errorf("known wait %q: no reason", k.Func)
	case k.Wait != "" && !slices.Contains(KnownWaitWords, k.Wait):
		return fmt.Errorf("known wait %q: unknown wait %q: use one of %s", k.Func, k.Wait, strings.Join(KnownWaitWords, ", "))
	case k.InUse != "" && k.Forgot == "":
		return fmt.Errorf("known wait %q: who is at work matters only where something is forgotten", k.Func)
	}
	return nil
}

// ParseKnownWaits reads rows from text, a line each: function, wait ("-" for
// any) and reason, between bars; then, where something is forgotten, what it is
// and perhaps who may still be at work.
//
//	net/http.(*Server).Serve | - | accepts connections until it is closed
//	database/sql.(*Tx).awaitDone | chan receive | lives as long as its transaction | forgot: commits or rolls back the transaction
//
// Empty lines and lines that begin with # are left out. An error names the line.
func ParseKnownWaits(text string) ([]KnownWait, error) {
	var rows []KnownWait
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		row, err := parseKnownWait(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func parseKnownWait(line string) (KnownWait, error) {
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	if len(cells) < 3 {
		return KnownWait{}, fmt.Errorf("known wait %q: want function | wait | reason", cells[0])
	}
	k := KnownWait{Func: cells[0], Wait: cells[1], Why: cells[2]}
	if k.Wait == "-" {
		k.Wait = ""
	}
	for _, cell := range cells[3:] {
		switch key, value, _ := strings.Cut(cell, ":"); strings.TrimSpace(key) {
		case "forgot":
			k.Forgot = strings.TrimSpace(value)
		case "in use":
			k.InUse = strings.TrimSpace(value)
		default:
			return KnownWait{}, fmt.Errorf("known wait %q: unknown cell %q: it must begin with \"forgot:\" or \"in use:\"", k.Func, cell)
		}
	}
	return k, k.Validate()
}
