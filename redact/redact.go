// Package redact makes a report fit to be sent outside: it says what is wrong
// with the program without saying whose program it is.
//
// Names of functions, types, packages, files, tests, tasks, regions, traces and
// servers become placeholders, the same name the same placeholder throughout a
// report: "example.com/shop.(*Cart).Total.func1" becomes "pkg1.(*T2).f3.func1",
// wherever it stands. The standard library keeps its names; nothing else does,
// modules that everybody knows included. Lines of source are left out.
//
// Nothing passes because nobody thought of it. Fields are found by the shape of
// the types, so a field added tomorrow is covered. A text passes word by word,
// and only words of which our own texts are made do (vocabulary.txt); so do numbers,
// times and ids of goroutines. What stands in quotes is somebody else's.
//
// What remains is what the report is about: kinds of trouble, counts, times, line
// numbers, the shape of stacks, whether two names are the same; and, where
// somebody else's text gets in unquoted, those of its words that are ours too.
// Fingerprints are made anew with a secret that is forgotten, since whoever has
// an idea of the names could otherwise test it: they tell problems of one report
// apart and match no other.
package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
)

// Report returns a copy of the report without names. private are further texts
// that may stand in it, such as what a configuration gives as reasons.
func Report(r *detectors.Report, private []string) *detectors.Report { return redacted(r, private) }

// Diff does so for a comparison.
func Diff(d *gate.Diff, private []string) *gate.Diff { return redacted(d, private) }

// Moment does so for a moment of a trace and a report on it, which may be nil: both
// have the same placeholders.
func Moment(m *detectors.Moment, r *detectors.Report) (*detectors.Moment, *detectors.Report) {
	type both struct {
		Moment *detectors.Moment
		Report *detectors.Report
	}
	hidden := redacted(&both{m, r}, nil)
	return hidden.Moment, hidden.Report
}

func redacted[T any](v *T, private []string) *T {
	n := newNames()
	for _, text := range private {
		n.phrase(text, func() string { return n.ident(text, "name") })
	}
	n.learn(reflect.ValueOf(v).Elem())
	c := copier{names: n, secret: []byte(rand.Text())}
	var out T
	c.copy(reflect.ValueOf(&out).Elem(), reflect.ValueOf(v).Elem())
	return &out
}

// learn notes all names that a value holds as such, before texts that quote them
// are read.
func (n *names) learn(v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Time:
		return
	case detectors.Frame:
		n.learnFrame(x)
		return
	case detectors.Trace:
		n.phrase(x.Source, func() string { return n.ident(x.Source, "trace") })
		for _, name := range x.Names {
			n.phrase(name, func() string { return n.ident(name, "name") })
		}
	case detectors.Moment:
		n.phrase(x.Source, func() string { return n.ident(x.Source, "trace") })
	case detectors.Finding:
		for _, test := range x.Tests {
			n.phrase(test, func() string { return n.test(test) })
		}
		for _, fn := range x.Key {
			n.learnFrame(detectors.Frame{Func: fn})
		}
	case detectors.Group:
		n.learnFrame(detectors.Frame{Func: x.Entry})
	case detectors.Track:
		n.learnFrame(detectors.Frame{Func: x.Entry})
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			n.learn(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			n.learn(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			n.learn(v.Elem())
		}
	}
}

// copier copies a value without its names.
type copier struct {
	names  *names
	secret []byte // of this copy
}

// copy copies src to dst. It goes by the shape of the types: the few that are
// named are those whose texts are no sentences.
func (c *copier) copy(dst, src reflect.Value) {
	switch v := src.Interface().(type) {
	case time.Time:
		dst.Set(src)
		return
	case detectors.Frame:
		dst.Set(reflect.ValueOf(c.names.frame(v)))
		return
	case []detectors.SourceLine:
		dst.Set(reflect.ValueOf([]detectors.SourceLine{}))
		return
	case detectors.Pattern:
		dst.Set(reflect.ValueOf(c.pattern(v)))
		return
	case detectors.Tool:
		if !version.MatchString(v.Version) {
			v.Version = ""
		}
		dst.Set(reflect.ValueOf(detectors.Tool{Name: c.names.text(v.Name), Version: v.Version}))
		return
	}
	switch src.Kind() {
	case reflect.String:
		dst.SetString(c.names.text(src.String()))
	case reflect.Struct:
		for i := range src.NumField() {
			if src.Type().Field(i).Name == "Fingerprint" {
				dst.Field(i).SetString(c.fingerprint(src.Field(i).String()))
			} else {
				c.copy(dst.Field(i), src.Field(i))
			}
		}
		switch dst := dst.Addr().Interface().(type) {
		case *detectors.Trace:
			dst.Names = nil
		case *detectors.Suppressed:
			dst.Reason = "" // somebody's own words
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				c.copy(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMap(src.Type()))
			for _, k := range src.MapKeys() {
				key, value := reflect.New(src.Type().Key()).Elem(), reflect.New(src.Type().Elem()).Elem()
				c.copy(key, k)
				c.copy(value, src.MapIndex(k))
				dst.SetMapIndex(key, value)
			}
		}
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			c.copy(dst.Elem(), src.Elem())
		}
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		dst.Set(src)
	default:
		panic(fmt.Sprintf("redact: a report holds a %s, which is not known here", src.Type()))
	}
}

// version is what a program calls its own version.
var version = regexp.MustCompile(`^(devel|v\d+\.\d+\.\d+[0-9A-Za-z.+-]*)?$`)

// pattern keeps a repair that is ours.
func (c *copier) pattern(p detectors.Pattern) detectors.Pattern {
	if ours, ok := detectors.PatternByID(p.ID); ok && reflect.DeepEqual(ours, p) {
		return p
	}
	return detectors.Pattern{ID: c.names.text(p.ID), Title: c.names.text(p.Title), Why: c.names.text(p.Why), Links: []string{}}
}

func (c *copier) fingerprint(f string) string {
	if f == "" {
		return ""
	}
	mac := hmac.New(sha256.New, c.secret)
	_, _ = mac.Write([]byte(f)) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
