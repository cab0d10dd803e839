package held

import (
	"container/list"
	"sync"

	"example.com/not/at/hand"
)

type client struct {
	hand.Base
	conn *hand.Conn
	lru  *list.List
	pool sync.Map
}

type entry struct{ mu sync.Mutex }

func (c *client) Missing(x any) {
	c.conn.Lock()
	work() // held: client.conn
	c.conn.Unlock()
	work() // held:
	h := hand.Open()
	h.Mu.Lock()
	work() // held: h.Mu in (*client).Missing
	h.Mu.Unlock()
	hand.Registry.Lock()
	work() // held: hand.Registry
	hand.Registry.Unlock()
	c.Lock()
	work() // held: receiver c in (*client).Missing
	c.Unlock()
	e := c.lru.Front().Value.(*entry)
	e.mu.Lock()
	work() // held: entry.mu
	e.mu.Unlock()
	v, _ := c.pool.Load(1)
	v.(*entry).mu.Lock()
	work() // held: entry.mu
	v.(*entry).mu.Unlock()
	switch y := x.(type) {
	case *entry:
		y.mu.Lock()
		work() // held: entry.mu
		y.mu.Unlock()
	}
	work() // held:
	i := hand.Lookup().(*entry)
	i.mu.Lock()
	work() // held: entry.mu
	i.mu.Unlock()
}
