package source

import (
	"go/ast"
	"go/parser"
	"go/types"
)

// stdPackage is a package of the standard library as far as locks and
// channels need it.
type stdPackage struct{ types *types.Package }

// stdPackage returns the hand-written declarations of a package, nil if there
// are none.
func (t *Tree) stdPackage(path string) *types.Package {
	if path == "unsafe" {
		return types.Unsafe
	}
	if p, ok := t.std[path]; ok {
		return p.types
	}
	src, ok := stdSource[path]
	if !ok {
		return nil
	}
	tree, err := parser.ParseFile(t.fset, path+".go", src, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	config := &types.Config{IgnoreFuncBodies: true, Importer: stdImporter{t}, Error: func(error) {}}
	p := types.NewPackage(path, tree.Name.Name)
	_ = types.NewChecker(config, t.fset, p, nil).Files([]*ast.File{tree})
	t.std[path] = &stdPackage{p}
	return p
}

type stdImporter struct{ t *Tree }

// Import implements types.Importer.
func (im stdImporter) Import(path string) (*types.Package, error) {
	if p := im.t.stdPackage(path); p != nil {
		return p, nil
	}
	return im.t.emptyPackage(path), nil
}

// stdSource has the exported declarations, without bodies, by import path.
var stdSource = map[string]string{
	"sync": `package sync
type Locker interface { Lock(); Unlock() }
type Mutex struct { _ int }
func (*Mutex) Lock()
func (*Mutex) TryLock() bool
func (*Mutex) Unlock()
type RWMutex struct { _ int }
func (*RWMutex) Lock()
func (*RWMutex) TryLock() bool
func (*RWMutex) Unlock()
func (*RWMutex) RLock()
func (*RWMutex) TryRLock() bool
func (*RWMutex) RUnlock()
func (*RWMutex) RLocker() Locker
type Cond struct { L Locker }
func NewCond(l Locker) *Cond
func (*Cond) Wait()
func (*Cond) Signal()
func (*Cond) Broadcast()
type Once struct { _ int }
func (*Once) Do(f func())
func OnceFunc(f func()) func()
func OnceValue[T any](f func() T) func() T
func OnceValues[T1, T2 any](f func() (T1, T2)) func() (T1, T2)
type WaitGroup struct { _ int }
func (*WaitGroup) Add(delta int)
func (*WaitGroup) Done()
func (*WaitGroup) Wait()
func (*WaitGroup) Go(f func())
type Pool struct { New func() any }
func (*Pool) Get() any
func (*Pool) Put(x any)
type Map struct { _ int }
func (*Map) Load(key any) (value any, ok bool)
func (*Map) Store(key, value any)
func (*Map) Clear()
func (*Map) LoadOrStore(key, value any) (actual any, loaded bool)
func (*Map) LoadAndDelete(key any) (value any, loaded bool)
func (*Map) Delete(key any)
func (*Map) Swap(key, value any) (previous any, loaded bool)
func (*Map) CompareAndSwap(key, old, new any) bool
func (*Map) CompareAndDelete(key, old any) bool
func (*Map) Range(f func(key, value any) bool)
`,
	"sync/atomic": `package atomic
type Value struct { _ any }
func (*Value) Load() any
func (*Value) Store(v any)
func (*Value) Swap(v any) any
func (*Value) CompareAndSwap(old, new any) bool
type Pointer[T any] struct { _ *T }
func (*Pointer[T]) Load() *T
func (*Pointer[T]) Store(v *T)
func (*Pointer[T]) Swap(v *T) *T
func (*Pointer[T]) CompareAndSwap(old, new *T) bool
type Bool struct { _ int }
func (*Bool) Load() bool
func (*Bool) Store(v bool)
func (*Bool) Swap(v bool) bool
func (*Bool) CompareAndSwap(old, new bool) bool
type Int32 struct { _ int }
func (*Int32) Load() int32
func (*Int32) Store(v int32)
func (*Int32) Add(v int32) int32
func (*Int32) Swap(v int32) int32
func (*Int32) CompareAndSwap(old, new int32) bool
type Int64 struct { _ int }
func (*Int64) Load() int64
func (*Int64) Store(v int64)
func (*Int64) Add(v int64) int64
func (*Int64) Swap(v int64) int64
func (*Int64) CompareAndSwap(old, new int64) bool
type Uint32 struct { _ int }
func (*Uint32) Load() uint32
func (*Uint32) Store(v uint32)
func (*Uint32) Add(v uint32) uint32
func (*Uint32) Swap(v uint32) uint32
func (*Uint32) CompareAndSwap(old, new uint32) bool
type Uint64 struct { _ int }
func (*Uint64) Load() uint64
func (*Uint64) Store(v uint64)
func (*Uint64) Add(v uint64) uint64
func (*Uint64) Swap(v uint64) uint64
func (*Uint64) CompareAndSwap(old, new uint64) bool
func AddInt32(*int32, int32) int32
func AddInt64(*int64, int64) int64
func AddUint32(*uint32, uint32) uint32
func AddUint64(*uint64, uint64) uint64
func LoadInt32(*int32) int32
func LoadInt64(*int64) int64
func LoadUint32(*uint32) uint32
func LoadUint64(*uint64) uint64
func StoreInt32(*int32, int32)
func StoreInt64(*int64, int64)
func StoreUint32(*uint32, uint32)
func StoreUint64(*uint64, uint64)
func CompareAndSwapInt32(*int32, int32, int32) bool
func CompareAndSwapInt64(*int64, int64, int64) bool
func CompareAndSwapUint32(*uint32, uint32, uint32) bool
func CompareAndSwapUint64(*uint64, uint64, uint64) bool
`,
	"context": `package context
import "time"
type Context interface {
	Deadline() (deadline time.Time, ok bool)
	Done() <-chan struct{}
	Err() error
	Value(key any) any
}
type CancelFunc func()
type CancelCauseFunc func(cause error)
var Canceled, DeadlineExceeded error
func Background() Context
func TODO() Context
func WithCancel(parent Context) (ctx Context, cancel CancelFunc)
func WithCancelCause(parent Context) (ctx Context, cancel CancelCauseFunc)
func WithDeadline(parent Context, d time.Time) (Context, CancelFunc)
func WithDeadlineCause(parent Context, d time.Time, cause error) (Context, CancelFunc)
func WithTimeout(parent Context, timeout time.Duration) (Context, CancelFunc)
func WithTimeoutCause(parent Context, timeout time.Duration, cause error) (Context, CancelFunc)
func WithValue(parent Context, key, val any) Context
func WithoutCancel(parent Context) Context
func AfterFunc(ctx Context, f func()) (stop func() bool)
func Cause(c Context) error
`,
	"time": `package time
type Duration int64
const (
	Nanosecond  Duration = 1
	Microsecond          = 1000 * Nanosecond
	Millisecond          = 1000 * Microsecond
	Second               = 1000 * Millisecond
	Minute               = 60 * Second
	Hour                 = 60 * Minute
)
func (Duration) Seconds() float64
func (Duration) Milliseconds() int64
func (Duration) Microseconds() int64
func (Duration) Nanoseconds() int64
func (Duration) String() string
type Time struct { _ int }
func (Time) Add(d Duration) Time
func (Time) Sub(u Time) Duration
func (Time) After(u Time) bool
func (Time) Before(u Time) bool
func (Time) Equal(u Time) bool
func (Time) IsZero() bool
func (Time) Unix() int64
func (Time) UnixNano() int64
func (Time) UnixMilli() int64
func Now() Time
func Since(t Time) Duration
func Until(t Time) Duration
func Sleep(d Duration)
type Timer struct { C <-chan Time }
func NewTimer(d Duration) *Timer
func AfterFunc(d Duration, f func()) *Timer
func (*Timer) Stop() bool
func (*Timer) Reset(d Duration) bool
type Ticker struct { C <-chan Time }
func NewTicker(d Duration) *Ticker
func (*Ticker) Stop()
func (*Ticker) Reset(d Duration)
func After(d Duration) <-chan Time
func Tick(d Duration) <-chan Time
`,
	"container/list": `package list
type Element struct { Value any }
func (*Element) Next() *Element
func (*Element) Prev() *Element
type List struct { _ int }
func New() *List
func (*List) Init() *List
func (*List) Len() int
func (*List) Front() *Element
func (*List) Back() *Element
func (*List) PushFront(v any) *Element
func (*List) PushBack(v any) *Element
func (*List) InsertBefore(v any, mark *Element) *Element
func (*List) InsertAfter(v any, mark *Element) *Element
func (*List) Remove(e *Element) any
func (*List) MoveToFront(e *Element)
func (*List) MoveToBack(e *Element)
`,
}
