// Package held is source for the tests: a comment "held:" says which locks its
// line's function holds there, in order of taking. "?" means on some ways only,
// "(r)" for reading.
package held

import (
	"errors"
	"sync"
)

type Cache struct {
	mu    sync.Mutex
	items map[string]int
	index *Index
	stats struct {
		mu   sync.RWMutex
		hits int
	}
}

type Index struct {
	sync.RWMutex
	words []string
}

type store struct {
	*Index
	name string
}

var (
	registry   sync.Mutex
	everything = map[string]*Cache{}
)

var global struct {
	sync.Mutex
	n int
}

func work(...any) {}

func (c *Cache) Straight() {
	work()        // held:
	c.mu.Lock()   // held:
	work()        // held: Cache.mu
	c.mu.Unlock() // held: Cache.mu
	work()        // held:
}

func (c *Cache) Deferred(key string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key == "" {
		return 0, errors.New(key) // held: Cache.mu
	}
	c.stats.mu.RLock()
	defer func() {
		work() // held:
		c.stats.mu.RUnlock()
		work() // held:
	}()
	return c.items[key], nil // held: Cache.mu, Cache.stats.mu(r)?
}

func (c *Cache) EarlyReturn(key string) int {
	c.mu.Lock()
	if key == "" {
		work() // held: Cache.mu
		return 0
	}
	n := c.items[key]
	c.mu.Unlock()
	work(n) // held:
	return n
}

func (c *Cache) Branches(a, b bool) {
	if a {
		c.mu.Lock()
	}
	work() // held: Cache.mu?
	if a {
		c.mu.Unlock()
	}
	if b {
		registry.Lock()
		work() // held: Cache.mu?, held.registry
	} else {
		registry.Lock()
	}
	work() // held: Cache.mu?, held.registry
	registry.Unlock()
}

func (c *Cache) Loop(keys []string) {
	for _, k := range keys {
		c.mu.Lock()
		if k == "" {
			c.mu.Unlock()
			continue
		}
		work(k) // held: Cache.mu
		c.mu.Unlock()
		work(k) // held:
	}
	for {
		c.mu.Lock()
		if len(c.items) == 0 {
			break
		}
		c.mu.Unlock()
		work() // held:
	}
	work() // held: Cache.mu
	c.mu.Unlock()
}

// Forgets does not unlock before it goes on.
func (c *Cache) Forgets(keys []string) {
	for _, k := range keys {
		c.mu.Lock() // held: Cache.mu?
		if k == "" {
			continue
		}
		c.mu.Unlock()
	}
}

func (c *Cache) Switch(n int) {
	c.mu.Lock()
	switch n {
	case 1:
		c.mu.Unlock()
		work() // held:
		return
	case 2:
		work() // held: Cache.mu
	default:
		c.mu.Unlock()
		work() // held:
		c.mu.Lock()
	}
	work() // held: Cache.mu
	c.mu.Unlock()
}

func (c *Cache) Select(done <-chan struct{}, in chan int, out chan<- int) {
	c.mu.Lock()
	select { // held: Cache.mu
	case <-done:
		c.mu.Unlock()
		return
	case v := <-in:
		work(v) // held: Cache.mu
	case out <- len(c.items):
	}
	c.mu.Unlock()
	in <- 1 // held:
	c.mu.Lock()
	for v := range in { // held: Cache.mu
		work(v) // held: Cache.mu
	}
	work(<-done) // held: Cache.mu
	select {}    // held: Cache.mu
}

func (c *Cache) Goto() {
again:
	c.mu.Lock() // held:
	if len(c.items) > 0 {
		c.mu.Unlock()
		goto again
	}
	work() // held: Cache.mu
	c.mu.Unlock()
}

func (c *Cache) Labels(rows [][]int) {
outer:
	for _, row := range rows {
		c.mu.Lock()
		for _, n := range row {
			if n == 0 {
				c.mu.Unlock()
				continue outer
			}
			if n == 1 {
				break outer
			}
			work() // held: Cache.mu
		}
		c.mu.Unlock()
	}
	work() // held: Cache.mu?
}

func (c *Cache) Embedded(s *store) {
	c.index.Lock()
	work() // held: Index.RWMutex
	c.index.Unlock()
	s.RLock()
	work() // held: Index.RWMutex(r)
	s.Index.RUnlock()
	work() // held:
	global.Lock()
	work() // held: held.global.Mutex
	global.Unlock()
	c.stats.mu.RLock()
	work() // held: Cache.stats.mu(r)
	c.stats.mu.RLock()
	c.stats.mu.RUnlock()
	work() // held: Cache.stats.mu(r)
	c.stats.mu.RUnlock()
	work() // held:
}

func Locals(n int) {
	var mu sync.Mutex
	mu.Lock()
	func() {
		work() // held:
		mu.Unlock()
	}()
	work() // held:
	lock := &mu
	lock.Lock()
	work() // held: local variable mu in Locals
	mu.Unlock()
	work() // held:
	go func() {
		mu.Lock()
		defer mu.Unlock()
		work() // held: local variable mu in Locals
	}()
	unlock := mu.Unlock
	mu.Lock()
	defer unlock()
	work() // held: local variable mu in Locals
}

func Try(c *Cache) {
	if !c.mu.TryLock() {
		work() // held:
		return
	}
	work() // held: Cache.mu
	c.mu.Unlock()
	if len(c.items) > 0 && c.stats.mu.TryRLock() {
		work() // held: Cache.stats.mu(r)
		c.stats.mu.RUnlock()
	}
	ok := registry.TryLock()
	work() // held: held.registry?
	if ok {
		work() // held: held.registry
		registry.Unlock()
	}
	work() // held:
	for !registry.TryLock() {
		work() // held:
	}
	work() // held: held.registry
	registry.Unlock()
}

func Locker(l sync.Locker, c *Cache) {
	l.Lock()
	work() // held: parameter l in Locker
	l.Unlock()
	r := c.stats.mu.RLocker()
	r.Lock()
	work() // held: Cache.stats.mu(r)
	r.Unlock()
	work() // held:
}

func Two(a, b *Cache) {
	a.mu.Lock()
	b.mu.Lock()
	work() // held: Cache.mu, Cache.mu
	a.mu.Unlock()
	work() // held: Cache.mu
	b.mu.Unlock()
	work() // held:
}

func Panics(c *Cache) {
	c.mu.Lock()
	if c.items == nil {
		c.mu.Unlock()
		panic("no items")
	}
	work() // held: Cache.mu
	c.mu.Unlock()
}

// HandOver locks each element before it lets go of the one before.
type node struct {
	mu   sync.Mutex
	next *node
}

func HandOver(head *node) {
	cur := head
	cur.mu.Lock()
	for cur.next != nil {
		next := cur.next
		next.mu.Lock()  // held: node.mu
		cur.mu.Unlock() // held: node.mu, node.mu
		cur = next
		work() // held: node.mu
	}
	work() // held: node.mu
	cur.mu.Unlock()
	work() // held:
}

func All(nodes []*node) {
	for _, n := range nodes {
		n.mu.Lock() // held: node.mu?
		defer n.mu.Unlock()
	}
	work() // held: node.mu?, node.mu?
}

func Shards(nodes []node, i int) {
	nodes[i].mu.Lock()
	work() // held: node.mu
	nodes[i].mu.Unlock()
	work() // held:
	n := &nodes[3]
	n.mu.Lock()
	work() // held: node.mu
	nodes[3].mu.Unlock()
	work() // held:
	locks := make([]sync.Mutex, 3)
	locks[1].Lock()
	work() // held: local variable locks[1] in Shards
	locks[1].Unlock()
}

func Reassigned(c *Cache) {
	c.mu.Lock()
	c = &Cache{}
	c.mu.Lock() // held: Cache.mu
	work()      // held: Cache.mu, Cache.mu
	c.mu.Unlock()
	work() // held: Cache.mu
}
