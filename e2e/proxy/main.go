// Proxy passes TCP connections on to another address, as late and as slowly as a network that is far away, and counts what it passes.
//
// Each direction has the rate that is given, shared by all connections, and what arrives is passed on after the delay.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

func main() {
	listen := flag.String("listen", ":10901", "Address to listen on.")
	to := flag.String("to", "", "Address to pass connections on to.")
	admin := flag.String("admin", ":9090", "Address of /-/ready, /bytes, and of /delay?is=1s, which changes the delay.")
	bits := flag.Float64("rate", 0, "Bits per second of each direction; 0: no limit.")
	delay := flag.Duration("delay", 0, "How much later everything is passed on.")
	flag.Parse()

	up, down := newDirection(*bits), newDirection(*bits)
	for _, d := range []*direction{up, down} {
		d.delay.Store(int64(*delay))
	}
	http.HandleFunc("/-/ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/bytes", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d %d\n", up.bytes.Load(), down.bytes.Load())
	})
	http.HandleFunc("/delay", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.FormValue("is"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		up.delay.Store(int64(d))
		down.delay.Store(int64(d))
	})
	go func() { log.Fatal(http.ListenAndServe(*admin, nil)) }()

	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	for {
		from, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer from.Close()
			there, err := net.Dial("tcp", *to)
			if err != nil {
				log.Print(err)
				return
			}
			defer there.Close()
			var both sync.WaitGroup
			both.Go(func() { up.pass(there, from) })
			both.Go(func() { down.pass(from, there) })
			both.Wait()
		}()
	}
}

// direction is what passes from all clients to the server, or back.
type direction struct {
	bytes   atomic.Int64
	delay   atomic.Int64 // a time.Duration
	limiter *rate.Limiter
}

// packet is how much is read at once, which is what a rate is kept by.
const packet = 16 << 10

func newDirection(bits float64) *direction {
	limit := rate.Inf
	if bits > 0 {
		limit = rate.Limit(bits / 8)
	}
	return &direction{limiter: rate.NewLimiter(limit, packet)}
}

type delayed struct {
	due  time.Time
	data []byte
}

// pass copies until either end is closed, and then closes both.
func (d *direction) pass(to, from net.Conn) {
	// As much is under way as fits into rate times delay, within reason.
	queue := make(chan delayed, 1024)
	go func() {
		defer close(queue)
		for {
			data := make([]byte, packet)
			n, err := from.Read(data)
			if n > 0 {
				if d.limiter.WaitN(context.Background(), n) != nil {
					return
				}
				d.bytes.Add(int64(n))
				queue <- delayed{time.Now().Add(time.Duration(d.delay.Load())), data[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range queue {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	to.Close()
	from.Close()
	for range queue { // what is read but cannot be passed on any more
	}
}
