package held

import "sync"

type Server struct {
	mu      sync.Mutex
	conns   map[int]*Conn
	cond    *sync.Cond
	ready   sync.Cond
	pending int
}

type Conn struct {
	srv *Server
	mu  SpinMutex
}

// SpinMutex is a lock by its name: what is inside is its own affair.
type SpinMutex struct {
	sync.Mutex
	spins int
}

// LoudLock has methods of its own.
type LoudLock struct{ inner sync.RWMutex }

func (l *LoudLock) Lock()   { work(); l.inner.Lock() }
func (l *LoudLock) Unlock() { l.inner.Unlock(); work() }

func NewServer() *Server {
	s := &Server{conns: map[int]*Conn{}}
	s.cond = sync.NewCond(&s.mu)
	s.ready.L = &s.mu
	return s
}

func (s *Server) lock()         { s.mu.Lock() }
func (s *Server) unlock()       { s.mu.Unlock() }
func (s *Server) lockTwice()    { s.lock() }
func (s *Server) tryLock() bool { return s.mu.TryLock() }

func (s *Server) guard() func() {
	s.mu.Lock()
	return s.mu.Unlock
}

func (s *Server) guardLiteral() (n int, unlock func()) {
	s.lock()
	return 1, func() { s.unlock() }
}

func (s *Server) maybe(b bool) {
	if b {
		s.mu.Lock()
	}
}

func (c *Conn) server() *Server { return c.srv }

func lockIt(mu *sync.Mutex)          { mu.Lock() }
func unlockAll(locks ...*sync.Mutex) {}
func with(l sync.Locker, f func())   { l.Lock(); defer l.Unlock(); f() }
func recursive(s *Server, n int) {
	if n > 0 {
		recursive(s, n-1)
	}
	s.mu.Lock()
}

func Wrapped(s *Server, c *Conn) {
	s.lock()
	work() // held: Server.mu
	s.unlock()
	work() // held:
	s.lockTwice()
	defer s.unlock()
	work() // held: Server.mu
	c.server().unlock()
	work() // held: Server.mu
	c.mu.Lock()
	work() // held: Server.mu, Conn.mu
	c.mu.Unlock()
	lockIt(&registry)
	work() // held: Server.mu, held.registry
	registry.Unlock()
	var loud LoudLock
	loud.Lock()
	work() // held: Server.mu, local variable loud in Wrapped
	loud.Unlock()
	work() // held: Server.mu
}

func Getter(c *Conn) {
	c.server().lock()
	work() // held: Server.mu
	c.srv.mu.Unlock()
	work() // held:
}

func Guards(s *Server) {
	defer s.guard()()
	work() // held: Server.mu
}

func GuardVariable(s *Server) {
	_, unlock := s.guardLiteral()
	work() // held: Server.mu
	unlock()
	work() // held:
	release := s.guard()
	work() // held: Server.mu
	release()
	work() // held:
	if s.tryLock() {
		work() // held: Server.mu
		s.unlock()
	}
	s.maybe(true)
	work() // held: Server.mu?
}

func Callbacks(s *Server) {
	with(&s.mu, func() {
		work() // held:
	})
	work() // held:
	recursive(s, 3)
	work() // held: Server.mu
	s.unlock()
	locked := func(f func()) {
		s.mu.Lock()
		f()
		s.mu.Unlock()
	}
	locked(func() {
		work() // held:
	})
	work() // held:
	take := func() { s.mu.Lock() }
	take()
	work() // held: Server.mu
}

func (s *Server) Conds() {
	s.cond.L.Lock()
	for s.pending == 0 {
		s.cond.Wait() // held:
	}
	work() // held: Server.mu
	s.mu.Unlock()
	work() // held:
	s.mu.Lock()
	s.ready.Wait() // held:
	work()         // held: Server.mu
	s.ready.L.Unlock()
	work() // held:
	var mu sync.Mutex
	c := sync.NewCond(&mu)
	mu.Lock()
	c.Wait() // held:
	work()   // held: local variable mu in (*Server).Conds
	c.L.Unlock()
	work() // held:
}

// flushLocked is called with the lock held, and gives it up for a while.
func (s *Server) flushLocked() {
	s.mu.Unlock()
	work() // held:
	s.mu.Lock()
	work() // held:
}

func Flushes(s *Server) {
	s.mu.Lock()
	s.flushLocked() // held: Server.mu
	work()          // held: Server.mu
	s.mu.Unlock()
}

type Set[K comparable] struct {
	mu sync.RWMutex
	m  map[K]bool
}

func (s *Set[K]) Has(k K) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[k] // held: Set.mu(r)
}

func (s *Set[K]) lock() { s.mu.Lock() }

func Each[K comparable](s *Set[K], f func(K)) {
	s.lock()
	for k := range s.m {
		f(k) // held: Set.mu
	}
	s.mu.Unlock()
	work() // held:
}

var atStart = func() int {
	registry.Lock()
	work() // held: held.registry
	registry.Unlock()
	return 1
}()

type lockable interface {
	Lock()
	Unlock()
	Name() string
}

func Interface(l lockable) {
	l.Lock()
	work() // held: parameter l in Interface
	l.Unlock()
	work() // held:
}
