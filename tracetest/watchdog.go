package tracetest

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// How long before -timeout ends the process the tests that still run are judged:
// a tenth of what is left when the first of them begins, within these bounds.
const (
	leastNotice = 4 * time.Second
	mostNotice  = 10 * time.Second
)

// notice is how long before the deadline to wake up, at the latest half way.
func notice(left time.Duration) time.Duration {
	return min(max(left/10, leastNotice), mostNotice, left/2)
}

var watch sync.Once

// watchChecks reports the checked tests that still run shortly before the
// deadline, at which package testing ends the process without any cleanup. Only
// the first call counts: the deadline is the same for all tests of a process.
func watchChecks(deadline time.Time) {
	watch.Do(func() {
		left := time.Until(deadline)
		time.AfterFunc(left-notice(left), func() {
			if list := running.all(); len(list) > 0 {
				fmt.Fprint(os.Stderr, lastWords(list, deadline))
			}
		})
	})
}

// lastWords judges tests that hang.
func lastWords(list []*check, deadline time.Time) string {
	data, err := shared.snapshot()
	if err != nil {
		return fmt.Sprintf("tracetest: tests still run and could not be judged: %v\n", err)
	}
	where := keep(keepFolder(list), "hung-"+list[0].name, data)
	text := before(deadline, func(src detectors.Source) string { return judgeHung(list, data, src, deadline) })
	return text + "\n" + where + "\n"
}

func judgeHung(list []*check, data []byte, src detectors.Source, deadline time.Time) string {
	text := ""
	for _, c := range list {
		head := fmt.Sprintf("\ntracetest: %s still runs %v before -timeout ends the process; ", c.name, time.Until(deadline).Round(100*time.Millisecond))
		rep, err := c.judgeWith(src, traceload.OpenOptions{Stdin: bytes.NewReader(data)}, "-", c.name)
		switch {
		case err != nil:
			text += head + fmt.Sprintf("it could not be judged: %v\n", err)
		case len(rep.Findings) == 0:
			text += head + "its trace shows nothing wrong\n"
		default:
			text += head + message(rep, "")
		}
	}
	return text
}

// keepFolder returns the folder that one of the tests wants traces in.
func keepFolder(list []*check) string {
	if i := slices.IndexFunc(list, func(c *check) bool { return c.keep != "" }); i >= 0 {
		return list[i].keep
	}
	return ""
}

// unsaid leaves in a report only what no check has told.
func unsaid(rep *detectors.Report) {
	rep.Findings = slices.DeleteFunc(rep.Findings, func(f detectors.Finding) bool { return told.has(&f) })
	for i := range rep.Findings {
		rep.Findings[i].Rank = i + 1
	}
}
