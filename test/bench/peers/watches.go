package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const eventBytes = 1 << 10

// watchers are the watches that are open. Over its control port they are counted and sent events:
//
//	GET  /      how many there are
//	POST /event sends one event of about a KiB to all of them, with the time in nanoseconds at which it was sent
type watchers struct {
	mu   sync.Mutex
	next int
	open map[int]func(event []byte)
}

func newWatchers() *watchers { return &watchers{open: map[int]func([]byte){}} }

func (w *watchers) add(send func(event []byte)) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.next
	w.next++
	w.open[id] = send
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, id)
	}
}

func (w *watchers) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Method == http.MethodPost {
		event := newEvent(time.Now())
		for _, send := range w.open {
			send(event)
		}
	}
	fmt.Fprintln(out, len(w.open))
}

func (w *watchers) serveHTTP2(out http.ResponseWriter, r *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	controller := http.NewResponseController(out)
	controller.Flush()
	defer w.add(func(event []byte) {
		out.Write(event)
		controller.Flush()
	})()
	<-r.Context().Done()
}

const sentAt = `"bench/sent-at":"`

func newEvent(at time.Time) []byte {
	begin := `{"type":"MODIFIED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"small","namespace":"bench","annotations":{` +
		sentAt + strconv.FormatInt(at.UnixNano(), 10) + `"}},"data":"`
	return []byte(begin + strings.Repeat("x", eventBytes-len(begin)-4) + "\"}}\n")
}
