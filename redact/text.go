package redact

import (
	_ "embed"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// text redacts a sentence, or whatever a string may be.
func (n *names) text(s string) string {
	var b strings.Builder
	for s != "" {
		at := quoted.FindStringIndex(s)
		if at == nil {
			at = []int{len(s), len(s)}
		}
		n.phrasesIn(&b, s[:at[0]])
		if q := s[at[0]:at[1]]; q != "" {
			b.WriteString(`"` + n.quotation(q) + `"`)
		}
		s = s[at[1]:]
	}
	return b.String()
}

// quoted is a text in quotes, as %q writes it.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// quotation redacts what stands in quotes, without them.
func (n *names) quotation(q string) string {
	content, err := strconv.Unquote(q)
	if err != nil {
		content = q[1 : len(q)-1]
	}
	if p, ok := n.tokens[content]; ok {
		return p
	}
	if p, ok := n.expected[content]; ok {
		return p
	}
	if n.public[content] {
		return content
	}
	return n.ident(content, "name")
}

// phrasesIn redacts a text without quotations: first the names in it that are no
// single word, then the rest word by word.
func (n *names) phrasesIn(b *strings.Builder, s string) {
	begin := 0
	for i := 0; i < len(s); {
		if p, ok := n.phraseAt(s, i); ok {
			n.words(b, s[begin:i])
			b.WriteString(p.placeholder)
			i += len(p.name)
			begin = i
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	n.words(b, s[begin:])
}

// phraseAt returns the longest phrase that stands at a place of a text.
func (n *names) phraseAt(s string, at int) (phrase, bool) {
	for length := min(phraseKey, len(s)-at); length > 0; length-- {
		for _, p := range n.phrases[s[at:at+length]] {
			if strings.HasPrefix(s[at:], p.name) && bounded(s, at, at+len(p.name)) {
				return p, true
			}
		}
	}
	return phrase{}, false
}

// bounded tells whether a part of a text neither begins nor ends within a word.
func bounded(s string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:from])
	first, _ := utf8.DecodeRuneInString(s[from:])
	last, _ := utf8.DecodeLastRuneInString(s[:to])
	after, _ := utf8.DecodeRuneInString(s[to:])
	return !(from > 0 && isWord(before) && isWord(first)) && !(to < len(s) && isWord(last) && isWord(after))
}

// words redacts a text word by word.
func (n *names) words(b *strings.Builder, s string) {
	for s != "" {
		before, token, rest := nextToken(s)
		b.WriteString(before)
		b.WriteString(n.token(token))
		s = rest
	}
}

// nextToken takes the next token from a text: a word, or several that nothing but
// punctuation joins, such as "shop.go:46" or "(*Cart).Total".
func nextToken(s string) (before, token, rest string) {
	isSpace := func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r >= 0x80 && !isWord(r) }
	begin := strings.IndexFunc(s, isWord)
	if begin < 0 {
		return s, "", ""
	}
	end := len(s)
	if i := strings.IndexFunc(s[begin:], isSpace); i >= 0 {
		end = begin + i
	}
	token = strings.TrimRightFunc(s[begin:end], func(r rune) bool { return !isWord(r) })
	if strings.Contains(token, ").") && strings.HasSuffix(s[:begin], "(*") { // a receiver
		token = "(*" + token
		begin -= 2
	}
	return s[:begin], token, s[begin+len(token):]
}

// isWord tells whether names and words are made of this character.
func isWord(r rune) bool { return r == '_' || unicode.In(r, unicode.L, unicode.N, unicode.M) }

// plain tells whether a text is one word.
func plain(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !isWord(r) }) < 0
}

// token redacts one token.
func (n *names) token(t string) string {
	if p, ok := n.tokens[t]; ok {
		return p
	}
	if stem, ok := strings.CutSuffix(t, "'s"); ok {
		return n.token(stem) + "'s"
	}
	switch {
	case t == "" || isNumber(t) || known(t) || n.public[t]:
		return t
	case plain(t):
		if _, ok := n.idents[t]; !ok && n.bases[t] != "" {
			return n.bases[t]
		}
		return n.ident(t, "name")
	}
	if allKnown(strings.Split(t, "-")) { // "keep-alive"
		return t
	}
	if address.MatchString(t) {
		return n.ident(t, "name")
	}
	if name, line, ok := strings.Cut(t, ":"); ok && strings.HasSuffix(name, ".go") && isNumber(line) {
		return n.file(name) + ":" + line
	}
	if strings.HasSuffix(t, ".go") {
		return n.file(t)
	}
	if strings.ContainsAny(t, `/\`) { // a path, a URL, or a function with its package
		if pkg := traceload.PackagePath(t); pkg != "" && !strings.ContainsAny(t, `\:?`) {
			if isPublic(detectors.Frame{Func: t}) {
				return t
			}
			return n.fn(t)
		}
		return n.ident(t, "path")
	}
	var b strings.Builder
	for i := 0; t != ""; i++ {
		begin := strings.IndexFunc(t, isWord)
		if begin < 0 {
			begin = len(t)
		}
		b.WriteString(t[:begin])
		t = t[begin:]
		end := strings.IndexFunc(t, func(r rune) bool { return !isWord(r) })
		if end < 0 {
			end = len(t)
		}
		b.WriteString(n.component(t[:end], i == 0 && strings.HasPrefix(t[end:], ".")))
		t = t[end:]
	}
	return b.String()
}

// component redacts one word of several that are joined; first tells that it may
// be the name of a package.
func (n *names) component(word string, first bool) string {
	switch {
	case ordinal.MatchString(word), first && word == "main":
		return word
	case first && n.bases[word] != "":
		return n.bases[word]
	}
	return n.ident(word, "name")
}

// number is a number, a time or a size, with or without its unit, a range of
// them, a version of Go, or the id of a goroutine. address only looks like one.
var (
	number  = regexp.MustCompile(`^([GPM]\d+|go1\.\d+|GO(GC|MEMLIMIT|MAXPROCS)=\w+|[\d.,]+(ns|µs|μs|us|ms|s|m|h|B|kB|MB|GB|KiB|MiB|GiB|k|x|th|st|nd|rd)?([-/:\d.,]*(ns|µs|μs|us|ms|s|m|h)?)*)$`)
	address = regexp.MustCompile(`\d\.\d+\.\d|:.*:`)
)

func isNumber(s string) bool { return number.MatchString(s) && !address.MatchString(s) }

// known tells whether a word is one of ours, in the singular or the plural.
func known(word string) bool {
	v := vocabulary()
	if v[word] {
		return true
	}
	one, plural := strings.CutSuffix(word, "s")
	return plural && (v[one] || v[strings.TrimSuffix(one, "e")])
}

func allKnown(words []string) bool {
	for _, w := range words {
		if !known(w) && !isNumber(w) {
			return false
		}
	}
	return true
}

//go:embed vocabulary.txt
var vocabularyText string

//go:embed std.txt
var stdText string

// vocabulary are the words of our own texts; go test ./redact -update renews it.
var vocabulary = sync.OnceValue(func() map[string]bool { return set(vocabularyText) })

// std are the packages of the standard library, also renewed by -update.
var std = sync.OnceValue(func() map[string]bool { return set(stdText) })

func set(lines string) map[string]bool {
	m := map[string]bool{}
	for _, l := range strings.Fields(lines) {
		m[l] = true
	}
	return m
}
