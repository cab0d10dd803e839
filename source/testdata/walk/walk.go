// Package walk hangs on purpose, in many ways: the tests look at the stacks of
// its goroutines. A comment "waits:" stands at each line where one is parked,
// with the lock that it waits for and those that all its frames hold, outermost
// first. Behind a held lock "=" means that it is the one waited for, "#" that it
// is another one, "~" that it cannot be told.
package walk

import (
	"errors"
	"sync"
	"time"
)

// Hang starts everything and returns at once.
func Hang() {
	busy.Lock()
	for _, f := range []func(){
		selfLock, lockOrder, transfer, callbacks, conds, onces, wrappers, generics, closures, ranges, methodValues, releases, interfaces,
		groups, instances, panics, timers, arrays,
	} {
		f()
	}
}

type Cache struct {
	mu    sync.Mutex
	index *Index
	items map[string]int
}

type Index struct {
	mu    sync.RWMutex
	cache *Cache
}

func (c *Cache) Get(k string) int {
	c.mu.Lock() // waits: Cache.mu; Cache.mu=
	defer c.mu.Unlock()
	return c.items[k]
}

// GetAll calls Get, which takes the lock again.
func (c *Cache) GetAll(keys []string) (all []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		all = append(all, c.Get(k))
	}
	return all
}

func selfLock() {
	c := &Cache{}
	go c.GetAll([]string{"a"})
}

func (c *Cache) Flush(ready chan<- bool, go_ <-chan bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ready <- true
	<-go_
	c.index.Add("x")
}

func (x *Index) Add(word string) {
	x.mu.Lock() // waits: Index.mu; Cache.mu#
	defer x.mu.Unlock()
}

func (x *Index) Rebuild(ready chan<- bool, go_ <-chan bool) {
	x.mu.Lock()
	ready <- true
	<-go_
	size(x.cache)
	x.mu.Unlock()
}

func size(c *Cache) int {
	c.mu.Lock() // waits: Cache.mu; Index.mu#
	defer c.mu.Unlock()
	return len(c.items)
}

func both(a, b func(ready chan<- bool, go_ <-chan bool)) {
	ready, go_ := make(chan bool), make(chan bool)
	go a(ready, go_)
	go b(ready, go_)
	<-ready
	<-ready
	close(go_)
}

func lockOrder() {
	c := &Cache{}
	x := &Index{cache: c}
	c.index = x
	both(c.Flush, x.Rebuild)
}

type account struct {
	mu   sync.Mutex
	name string
}

func move(from, to *account, ready chan<- bool, go_ <-chan bool) {
	from.mu.Lock()
	defer from.mu.Unlock()
	ready <- true
	<-go_
	to.mu.Lock() // waits: account.mu; account.mu# | account.mu; account.mu#
	defer to.mu.Unlock()
}

func transfer() {
	a, b := &account{name: "a"}, &account{name: "b"}
	ready, go_ := make(chan bool), make(chan bool)
	go move(a, b, ready, go_)
	go move(b, a, ready, go_)
	<-ready
	<-ready
	close(go_)
}

func (c *Cache) with(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
}

func callbacks() {
	c := &Cache{index: &Index{}}
	go c.with(func() {
		c.mu.Lock() // waits: Cache.mu; Cache.mu=
		c.mu.Unlock()
	})
	d := &Cache{}
	go d.with(d.touch)
}

var busy sync.Mutex

func (c *Cache) touch() {
	busy.Lock() // waits: walk.busy; Cache.mu#
	busy.Unlock()
}

type Queue struct {
	mu    sync.Mutex
	more  *sync.Cond
	other sync.Mutex
	items []int
}

func NewQueue() *Queue {
	q := &Queue{}
	q.more = sync.NewCond(&q.mu)
	return q
}

func (q *Queue) Pop(woken chan bool) {
	q.other.Lock()
	q.mu.Lock()
	for len(q.items) == 0 {
		q.more.Wait() // waits: Queue.mu; Queue.other# | Queue.more; Queue.other
		close(woken)
	}
}

func conds() {
	q := NewQueue()
	go q.Pop(make(chan bool)) // stays in Wait
	q = NewQueue()
	go func() {
		q.Pop(make(chan bool))
	}()
	for {
		time.Sleep(50 * time.Millisecond)
		q.mu.Lock() // never unlocked: who is woken cannot get it back
		q.more.Broadcast()
		break
	}
}

type lazy struct {
	once sync.Once
	mu   sync.Mutex
}

func (l *lazy) init() {
	l.once.Do(l.init) // waits: lazy.once; lazy.once=
}

func (l *lazy) get() {
	l.mu.Lock()
	l.once.Do(func() {
		l.mu.Lock() // waits: lazy.mu; lazy.mu=, lazy.once#
	})
}

func onces() {
	l := &lazy{}
	go func() { l.once.Do(l.init) }()
	m := &lazy{}
	go m.get()
}

type Server struct {
	mu    sync.RWMutex
	conns []*Conn
}

type Conn struct {
	srv *Server
	mu  sync.Mutex
}

func (s *Server) lock()         { s.mu.Lock() } // waits: Server.mu; Conn.mu#
func (s *Server) rlock()        { s.mu.RLock() }
func (c *Conn) server() *Server { return c.srv }

func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server().lock()
	return errors.New("closed")
}

func (s *Server) Broadcast() {
	s.rlock()
	for _, c := range s.conns {
		c.write()
	}
}

func (c *Conn) write() {
	c.mu.Lock() // waits: Conn.mu; Server.mu(r)#
	c.mu.Unlock()
}

func wrappers() {
	s := &Server{}
	c := &Conn{srv: s}
	s.conns = append(s.conns, c)
	c.mu.Lock()
	go s.Broadcast()
	for s.mu.TryLock() { // until it reads
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	d := &Conn{srv: s}
	go d.Close()
}

type Set[K comparable] struct {
	mu   sync.Mutex
	keys map[K]bool
}

func (s *Set[K]) Has(k K) bool {
	s.mu.Lock() // waits: Set.mu; Set.mu=
	defer s.mu.Unlock()
	return s.keys[k]
}

func Every[K comparable](s *Set[K], ks ...K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range ks {
		if !s.Has(k) {
			return false
		}
	}
	return true
}

func generics() {
	go Every(&Set[string]{}, "a", "b")
}

func closures() {
	var mu sync.Mutex
	c := &Cache{}
	inner := func() {
		mu.Lock() // waits: local variable mu in closures; local variable mu in closures=, Cache.mu#
	}
	go func() {
		mu.Lock()
		defer mu.Unlock()
		func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			inner()
		}()
	}()
}

func (c *Cache) all(yield func(string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	yield("a")
}

func ranges() {
	c := &Cache{}
	x := &Index{}
	named := &Cache{items: map[string]int{"a": 1}}
	go func() {
		for name := range named.names("x") {
			named.lookup2(name)
		}
	}()
	go func() {
		x.mu.RLock()
		for k := range c.all {
			c.lookup(k)
		}
	}()
}

// names returns an iterator, as methods called All do.
func (c *Cache) names(prefix string) func(func(string) bool) {
	return func(yield func(string) bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for k := range c.items {
			if !yield(prefix + k) {
				return
			}
		}
	}
}

func (c *Cache) lookup2(string) {
	c.mu.Lock() // waits: Cache.mu; Cache.mu=
	c.mu.Unlock()
}

func (c *Cache) lookup(string) {
	c.mu.Lock() // waits: Cache.mu; Index.mu(r)#, Cache.mu=
	c.mu.Unlock()
}

func methodValues() {
	c := &Cache{}
	c.mu.Lock()
	f := c.peek
	go func() { f() }()
	g := (*Cache).peek
	go g(c)
}

func (c *Cache) peek() {
	c.mu.Lock() // waits: Cache.mu; | Cache.mu;
}

// save is called with the lock held, and gives it up while it writes.
func (c *Cache) save() {
	c.mu.Unlock()
	busy.Lock() // waits: walk.busy;
	c.mu.Lock()
}

func releases() {
	c := &Cache{}
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.save()
	}()
}

type store interface{ Put() }

type slow struct{ mu sync.Mutex }

func (s *slow) Put() {
	s.mu.Lock() // waits: slow.mu; front.mu#
}

type front struct {
	mu sync.Mutex
	st store
}

func (f *front) Put(l sync.Locker) {
	l.Lock()
	f.st.Put()
	l.Unlock()
}

func interfaces() {
	s := &slow{}
	s.mu.Lock()
	f := &front{st: s}
	go f.Put(&f.mu)
}

func groups() {
	var wg sync.WaitGroup
	c := &Cache{}
	wg.Add(1)
	go func() {
		c.mu.Lock()
		wg.Wait() // waits: local variable wg in groups; Cache.mu
	}()
}

// Two locks of one type, where nothing tells whether they are one.
func instances() {
	list := []*account{{}, {}}
	for i := range list {
		list[i].mu.Lock()
	}
	go func(n int) {
		list[0].name = ""
		one, two := list[n], list[n+1]
		lockBoth(&account{}, one, two)
	}(0)
}

func lockBoth(own, one, two *account) {
	own.mu.Lock()
	two.mu.Lock() // waits: account.mu; account.mu~
	one.mu.Lock()
}

func panics() {
	c := &Cache{}
	go func() {
		defer func() {
			recover()
			c.mu.Lock() // waits: Cache.mu; Cache.mu=
		}()
		c.mu.Lock()
		panic("while it holds the lock")
	}()
}

func timers() {
	c := &Cache{}
	c.mu.Lock()
	time.AfterFunc(time.Millisecond, c.expire)
}

func (c *Cache) expire() {
	c.mu.Lock() // waits: Cache.mu;
}

type table struct {
	shards [4]struct {
		sync.Mutex
		n int
	}
}

func (t *table) add(i int) {
	t.shards[1].Lock()
	t.shards[i].Lock() // waits: table.shards[].Mutex; table.shards[].Mutex~
}

func arrays() {
	t := &table{}
	go t.add(1)
}
