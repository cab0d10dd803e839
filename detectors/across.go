package detectors

import "slices"

// across makes one list of what several traces gave, each sorted, worst first.
// A problem that is in several traces becomes one finding: the worst of them,
// with all of them in Seen and the tests of all.
//
// Problems are the same if their fingerprints are. One function can hold two
// problems of one fingerprint; then those at the same line belong together, and
// what is left (the traces are of different builds) is paired in its order.
func across(lists [][]Finding) []Finding {
	var all []Finding
	known := map[string][]int{} // fingerprint → indexes in all
	for _, list := range lists {
		taken := map[int]bool{} // indexes in all that are in this trace too
		add := func(f Finding, fits func(known *Finding) bool) bool {
			for _, i := range known[f.Fingerprint] {
				if !taken[i] && fits(&all[i]) {
					taken[i] = true
					all[i] = join(all[i], f)
					return true
				}
			}
			return false
		}
		rest := slices.DeleteFunc(slices.Clone(list), func(f Finding) bool {
			return add(f, func(known *Finding) bool { return known.Site == f.Site })
		})
		for _, f := range rest {
			if add(f, func(*Finding) bool { return true }) {
				continue
			}
			taken[len(all)] = true
			known[f.Fingerprint] = append(known[f.Fingerprint], len(all))
			all = append(all, f)
		}
	}
	return all
}

// join makes one finding of a problem as it stood in earlier traces and in a later one.
func join(earlier, later Finding) Finding {
	seen := append(slices.Clip(earlier.Seen), later.Seen...)
	worst := earlier
	if later.Score > earlier.Score {
		worst = later
	}
	worst.Seen = seen
	worst.Tests = slices.Compact(slices.Sorted(slices.Values(slices.Concat(earlier.Tests, later.Tests))))
	worst.Tests = worst.Tests[:min(len(worst.Tests), MaxTests)]
	return worst
}

// Regrade gives a finding another severity than its own, because somebody
// decided so, in all traces.
func (f *Finding) Regrade(s Severity) {
	f.Severity = s
	f.Score = score(f)
	for i := range f.Seen {
		f.Seen[i].Severity = s
	}
}

// JoinReports makes one report of several, as if their traces had been analysed
// together. What a report's own filter left out stays left out.
func JoinReports(list []*Report) *Report {
	joined := &Report{Schema: Schema}
	var lists [][]Finding
	for _, r := range list {
		first := len(joined.Traces)
		joined.Tool = r.Tool
		joined.Traces = append(joined.Traces, r.Traces...)
		joined.Suppressed = append(joined.Suppressed, r.Suppressed...)
		joined.Omitted += r.Omitted
		for _, d := range r.Detectors {
			if !slices.ContainsFunc(joined.Detectors, func(k Ran) bool { return k.Name == d.Name }) {
				joined.Detectors = append(joined.Detectors, d)
			}
		}
		findings := slices.Clone(r.Findings)
		for i := range findings {
			f := &findings[i]
			f.Trace += first
			f.Seen = slices.Clone(f.Seen)
			for j := range f.Seen {
				f.Seen[j].Trace += first
			}
		}
		lists = append(lists, findings)
	}
	joined.Findings = across(lists)
	joined.order()
	joined.normalize()
	return joined
}
