package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	failuresMax  = 20
	readerBytes  = 64 << 10
	againAfterMs = 20
)

// phase is where a run is: its workers count only while it is measured.
type phase struct {
	measuring atomic.Bool
	over      atomic.Bool
	left      atomic.Int64
}

// run starts the workers, and measures them for a time, or until they have sent so many requests.
func (o loadOptions) run(workers int, work func(index int, p *phase, t *tally)) result {
	p, t := &phase{}, &tally{}
	p.left.Store(int64(o.requests))
	var running sync.WaitGroup
	for index := range workers {
		running.Add(1)
		go func() {
			defer running.Done()
			work(index, p, t)
		}()
	}
	time.Sleep(time.Duration(o.warmup * float64(time.Second)))
	measured := beginLapse(o.pids)
	p.measuring.Store(true)
	if o.requests == 0 {
		time.Sleep(time.Duration(o.seconds * float64(time.Second)))
		p.measuring.Store(false)
		r := measured.end()
		p.over.Store(true)
		running.Wait()
		return t.into(r)
	}
	running.Wait()
	return t.into(measured.end())
}

// goesOn says whether a worker sends one more request.
func (p *phase) goesOn(o loadOptions) bool {
	return !p.over.Load() && (o.requests == 0 || p.left.Add(-1) >= 0)
}

// loadGet repeats one request on kept-alive connections.
func loadGet(o loadOptions) (result, error) {
	if o.http2 {
		return o.run(o.conns, func(index int, p *phase, t *tally) { getHTTP2(o, index, p, t) }), nil
	}
	return o.run(o.conns, func(index int, p *phase, t *tally) {
		for failures := 0; failures < failuresMax && !p.over.Load(); {
			err := getHTTP1(o, index, p, t)
			if err == nil {
				t.mu.Lock()
				t.reconnects++
				t.mu.Unlock()
				continue
			}
			failures++
			t.fail(err)
			time.Sleep(againAfterMs * time.Millisecond)
		}
	}), nil
}

// getHTTP1 uses one connection until it is over or the server closes it in order.
func getHTTP1(o loadOptions, index int, p *phase, t *tally) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, readerBytes)
	request := o.request(index, o.path)
	took, bytes := []float64{}, int64(0)
	defer func() { t.add(took, bytes) }()
	pace := newPace(o.rate)
	for p.goesOn(o) {
		began := pace.next()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		status, length, reusable, err := readResponse(reader)
		if err != nil {
			return err
		}
		if status != 200 {
			return fmt.Errorf("status %d", status)
		}
		if p.measuring.Load() {
			took = append(took, micros(began))
			bytes += length
		}
		if !reusable {
			return nil
		}
	}
	p.over.CompareAndSwap(false, o.requests > 0)
	return nil
}

// pace says when each request is due. What it takes counts from then: a request that had to wait for the one before
// it has waited.
type pace struct {
	every time.Duration
	due   time.Time
}

func newPace(perSecond float64) *pace {
	if perSecond == 0 {
		return &pace{}
	}
	every := time.Duration(float64(time.Second) / perSecond)
	return &pace{every, time.Now().Add(time.Duration(rand.Int64N(int64(every))))}
}

func (p *pace) next() time.Time {
	if p.every == 0 {
		return time.Now()
	}
	due := p.due
	time.Sleep(time.Until(due))
	p.due = due.Add(p.every)
	return due
}

// loadConnect makes a connection for each request, as every kubectl command does.
func loadConnect(o loadOptions) (result, error) {
	return o.run(o.conns, func(index int, p *phase, t *tally) {
		request := o.request(index, o.path, "Connection: close")
		took := []float64{}
		for failures := 0; failures < failuresMax && p.goesOn(o); {
			began := time.Now()
			if err := getOnce(o, request); err != nil {
				failures++
				t.fail(err)
				continue
			}
			if p.measuring.Load() {
				took = append(took, micros(began))
			}
		}
		t.add(took, 0)
	}), nil
}

func getOnce(o loadOptions, request []byte) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, _, _, err := readResponse(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	if status != 200 {
		return errors.New("status " + fmt.Sprint(status))
	}
	return nil
}
