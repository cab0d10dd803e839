// Command waits waits in every way that the tests of traceload know, and writes
// a trace of that into the file named by its argument. It builds with Go 1.19.
//
// Each kind of wait happens twice at the same line: a goroutine that parks before
// the trace begins, and another that parks while it is on. A line that ends in
//
//	// block NAME
//
// is where they park, one that ends in "// wake NAME" is where whoever wakes them
// stands. What has no such line is woken by a timer, the network, or nobody.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"runtime/trace"
	"sync"
	"syscall"
	"time"
)

const (
	settle = 20 * time.Millisecond  // for what was started to get parked
	length = 500 * time.Millisecond // of the timed waits, from their start
)

// wait is one way to wait. wake ends it; nil where nobody has to.
type wait struct {
	block, wake func()
}

func main() {
	log.SetFlags(0)
	early := start()
	time.Sleep(settle)

	out, err := os.Create(os.Args[1])
	check(err)
	check(trace.Start(out))
	late := start()
	annotate()
	time.Sleep(length + settle)
	for i := range early {
		for _, w := range []wait{early[i], late[i]} {
			if w.wake != nil {
				w.wake()
				time.Sleep(time.Millisecond)
			}
		}
	}
	time.Sleep(settle)
	trace.Stop()
	check(out.Close())
}

func start() []wait {
	waits := []wait{
		chanSend(), chanReceive(), chanRange(), chanClose(), selects(), nilSend(), nilReceive(), emptySelect(),
		mutex(), writerBehindReader(), writerBehindWriter(), readerBehindWriter(), once(), waitGroup(), cond(),
		sleep(), timer(), ticker(), cancelled(), deadline(), network(), accept(), descriptor(), systemCall(),
	}
	for _, w := range waits {
		go w.block()
	}
	return waits
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func chanSend() wait {
	ch := make(chan int)
	return wait{
		block: func() {
			ch <- 1 // block send
		},
		wake: func() {
			<-ch // wake send
		},
	}
}

func chanReceive() wait {
	ch := make(chan int)
	return wait{
		block: func() {
			<-ch // block receive
		},
		wake: func() {
			ch <- 1 // wake receive
		},
	}
}

func chanRange() wait {
	ch := make(chan int)
	return wait{
		block: func() {
			for range ch { // block range
				return
			}
		},
		wake: func() {
			ch <- 1 // wake range
		},
	}
}

func chanClose() wait {
	ch := make(chan int)
	return wait{
		block: func() {
			_, ok := <-ch // block close
			_ = ok
		},
		wake: func() {
			close(ch) // wake close
		},
	}
}

func selects() wait {
	ch, other := make(chan int), make(chan int)
	return wait{
		block: func() {
			select { // block select
			case <-ch:
			case other <- 1:
			}
		},
		wake: func() {
			<-other // wake select
		},
	}
}

func nilSend() wait {
	var ch chan int
	return wait{block: func() {
		ch <- 1 // block nil-send
	}}
}

func nilReceive() wait {
	var ch chan int
	return wait{block: func() {
		<-ch // block nil-receive
	}}
}

func emptySelect() wait {
	return wait{block: func() {
		select {} // block empty-select
	}}
}

func mutex() wait {
	mu := &sync.Mutex{}
	mu.Lock()
	return wait{
		block: func() {
			mu.Lock() // block mutex
			mu.Unlock()
		},
		wake: func() {
			mu.Unlock() // wake mutex
		},
	}
}

func writerBehindReader() wait {
	mu := &sync.RWMutex{}
	mu.RLock()
	return wait{
		block: func() {
			mu.Lock() // block writer-behind-reader
			mu.Unlock()
		},
		wake: func() {
			mu.RUnlock() // wake writer-behind-reader
		},
	}
}

func writerBehindWriter() wait {
	mu := &sync.RWMutex{}
	mu.Lock()
	return wait{
		block: func() {
			mu.Lock() // block writer-behind-writer
			mu.Unlock()
		},
		wake: func() {
			mu.Unlock() // wake writer-behind-writer
		},
	}
}

func readerBehindWriter() wait {
	mu := &sync.RWMutex{}
	mu.Lock()
	return wait{
		block: func() {
			mu.RLock() // block reader-behind-writer
			mu.RUnlock()
		},
		wake: func() {
			mu.Unlock() // wake reader-behind-writer
		},
	}
}

// once makes a second caller wait for the first.
func once() wait {
	once := &sync.Once{}
	begun, release := make(chan int), make(chan int)
	go func() {
		once.Do(func() { // wake once
			close(begun)
			<-release
		})
	}()
	<-begun
	return wait{
		block: func() {
			once.Do(func() {}) // block once
		},
		wake: func() { close(release) },
	}
}

func waitGroup() wait {
	wg := &sync.WaitGroup{}
	wg.Add(1)
	return wait{
		block: func() {
			wg.Wait() // block wait-group
		},
		wake: func() {
			wg.Done() // wake wait-group
		},
	}
}

func cond() wait {
	c := sync.NewCond(&sync.Mutex{})
	ready := false
	return wait{
		block: func() {
			c.L.Lock()
			for !ready {
				c.Wait() // block cond
			}
			c.L.Unlock()
		},
		wake: func() {
			c.L.Lock()
			ready = true
			c.L.Unlock()
			c.Broadcast() // wake cond
		},
	}
}

func sleep() wait {
	return wait{block: func() {
		time.Sleep(length) // block sleep
	}}
}

func timer() wait {
	never := make(chan int)
	return wait{block: func() {
		select { // block timer
		case <-time.After(length):
		case <-never:
		}
	}}
}

func ticker() wait {
	return wait{block: func() {
		tick := time.NewTicker(length)
		defer tick.Stop()
		<-tick.C // block ticker
	}}
}

func cancelled() wait {
	ctx, cancel := context.WithCancel(context.Background())
	return wait{
		block: func() {
			<-ctx.Done() // block cancel
		},
		wake: func() {
			cancel() // wake cancel
		},
	}
}

func deadline() wait {
	return wait{block: func() {
		ctx, cancel := context.WithTimeout(context.Background(), length)
		defer cancel()
		<-ctx.Done() // block deadline
	}}
}

func network() wait {
	client, server := connect()
	return wait{
		block: func() {
			_, err := server.Read(make([]byte, 1)) // block network
			check(err)
		},
		wake: func() { send(client) },
	}
}

func accept() wait {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	return wait{
		block: func() {
			_, err := listener.Accept() // block accept
			check(err)
		},
		wake: func() {
			_, err := net.Dial("tcp", listener.Addr().String())
			check(err)
		},
	}
}

// descriptor makes a second reader of one connection wait for the first.
func descriptor() wait {
	client, server := connect()
	go func() {
		_, err := server.Read(make([]byte, 1)) // wake descriptor
		check(err)
	}()
	time.Sleep(settle)
	return wait{
		block: func() {
			_, err := server.Read(make([]byte, 1)) // block descriptor
			check(err)
		},
		wake: func() {
			send(client)
			send(client)
		},
	}
}

func systemCall() wait {
	var pipe [2]int
	check(syscall.Pipe(pipe[:]))
	return wait{
		block: func() {
			_, err := syscall.Read(pipe[0], make([]byte, 1)) // block syscall
			check(err)
		},
		wake: func() {
			_, err := syscall.Write(pipe[1], []byte{1})
			check(err)
		},
	}
}

func connect() (client, server net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	check(err)
	server, err = listener.Accept()
	check(err)
	return client, server
}

func send(conn net.Conn) {
	_, err := conn.Write([]byte{1})
	check(err)
}

// annotate writes one of each of the user's own events.
func annotate() {
	ctx, task := trace.NewTask(context.Background(), "order")
	defer task.End()
	trace.WithRegion(ctx, "pack", func() {
		trace.Log(ctx, "item", "lamp")
		inner, task := trace.NewTask(ctx, "label")
		defer task.End()
		trace.Logf(inner, "printer", "number %d", 7)
	})
}
