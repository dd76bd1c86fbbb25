package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// loadFlood sends requests of one user as fast as they are answered, whatever the answer is, and counts the answers
// by status and those refusals that say when to come again.
func loadFlood(o loadOptions) (result, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: o.tls, MaxConnsPerHost: o.conns, MaxIdleConnsPerHost: o.conns}}
	scheme := "https://"
	if o.tls == nil {
		scheme = "http://"
	}
	statuses, mu := map[string]int{}, sync.Mutex{}
	retryAfter := 0
	r := o.run(o.conns, func(_ int, p *phase, t *tally) {
		took := []float64{}
		for failures := 0; failures < failuresMax && p.goesOn(o); {
			request, err := http.NewRequest(http.MethodGet, scheme+o.address+o.prefix+o.path, nil)
			if err != nil {
				t.fail(err)
				return
			}
			request.Header.Set("Authorization", "Bearer "+o.token(0))
			began := time.Now()
			answer, err := client.Do(request)
			if err != nil {
				failures++
				t.fail(err)
				continue
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if !p.measuring.Load() {
				continue
			}
			took = append(took, micros(began))
			mu.Lock()
			statuses[strconv.Itoa(answer.StatusCode)]++
			// client-go repeats a request only when this is a whole number of seconds.
			if _, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
				retryAfter++
			}
			mu.Unlock()
		}
		t.add(took, 0)
	})
	r.Statuses, r.RetryAfter = statuses, retryAfter
	return r, nil
}

// loadStall asks on each connection and never reads more than the head of the answer.
func loadStall(o loadOptions) (result, error) {
	asked := time.Now().Add(time.Duration((o.warmup + o.seconds) * float64(time.Second)))
	open := []net.Conn{}
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for range o.conns {
		conn, err := o.dial()
		if err != nil {
			return result{}, err
		}
		open = append(open, conn)
		if _, err := conn.Write(o.request(0, o.path)); err != nil {
			return result{}, err
		}
		status, _, _, _, err := readHead(bufio.NewReader(conn))
		if err != nil {
			return result{}, err
		}
		if status != 200 {
			return result{}, fmt.Errorf("status %d", status)
		}
	}
	measured := beginLapse(o.pids)
	time.Sleep(time.Until(asked))
	r := measured.end()
	r.Requests = o.conns
	return r, nil
}
