package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	eventsSent    = 20
	openAtOnce    = 32
	deliverWithin = 30 * time.Second
)

// loadWatch opens watches and says so, waits for a line on its standard input while the runner looks at memory, then
// has events sent to all of them and measures how long they take to arrive.
func loadWatch(o loadOptions) (result, error) {
	w := &watching{arrived: make(chan float64, o.conns*o.streams)}
	if err := w.open(o); err != nil {
		return result{}, err
	}
	count := o.conns * o.streams
	fmt.Printf("{\"opened\":%d}\n", count)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return result{}, err
	}
	t, all := &tally{}, []float64{}
	measured := beginLapse(o.pids)
	for range eventsSent {
		began := time.Now()
		answer, err := http.Post("http://"+o.control+"/event", "", nil)
		if err != nil {
			return result{}, err
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if there, _ := strconv.Atoi(string(bytes.TrimSpace(text))); there != count {
			return result{}, fmt.Errorf("%d watches of %d have reached the upstream", there, count)
		}
		late := time.After(deliverWithin)
		took := []float64{}
		for len(took) < count {
			select {
			case micros := <-w.arrived:
				took = append(took, micros)
			case <-late:
				return result{}, fmt.Errorf("an event reached %d of %d watches", len(took), count)
			}
		}
		t.add(took, 0)
		all = append(all, micros(began))
	}
	r := t.into(measured.end())
	slices.Sort(all)
	r.Opened, r.AllP50 = count, quantile(all, 0.5)
	return r, nil
}

type watching struct{ arrived chan float64 }

func (w *watching) open(o loadOptions) error {
	connections := make(chan int)
	failed := make(chan error, o.conns)
	var opening sync.WaitGroup
	for range openAtOnce {
		opening.Add(1)
		go func() {
			defer opening.Done()
			for index := range connections {
				var err error
				if o.http2 {
					err = w.openHTTP2(o, index)
				} else {
					err = w.openHTTP1(o, index)
				}
				if err != nil {
					failed <- err
				}
			}
		}()
	}
	for index := range o.conns {
		connections <- index
	}
	close(connections)
	opening.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (w *watching) openHTTP1(o loadOptions, index int) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	if _, err := conn.Write(o.request(index, o.path)); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(conn, 4<<10)
	status, _, _, _, err := readHead(reader)
	if err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("status %d to a watch", status)
	}
	go func() {
		for {
			line, err := reader.ReadSlice('\n')
			if err != nil {
				return
			}
			w.see(line)
		}
	}()
	return nil
}

func (w *watching) openHTTP2(o loadOptions, index int) error {
	c, err := o.dialHTTP2()
	if err != nil {
		return err
	}
	begun, failed := make(chan int, o.streams), make(chan error, 1)
	go func() {
		failed <- c.read(receiver{
			status: func(_ uint32, status int) { begun <- status },
			data:   func(_ uint32, data []byte) { w.see(data) },
			end:    func(uint32) {},
		}, func() bool { return true })
	}()
	for stream := range o.streams {
		if _, err := c.get(o.token(index*o.streams+stream), o.path); err != nil {
			return err
		}
	}
	for range o.streams {
		select {
		case status := <-begun:
			if status != 200 {
				return fmt.Errorf("status %d to a watch", status)
			}
		case err := <-failed:
			return err
		case <-time.After(deliverWithin):
			return errors.New("a watch did not begin")
		}
	}
	return nil
}

// see notes the arrival of an event; its time is in its first part.
func (w *watching) see(data []byte) {
	_, rest, found := bytes.Cut(data, []byte(sentAt))
	if !found {
		return
	}
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	if nanos, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		w.arrived <- float64(time.Now().UnixNano()-nanos) / 1000
	}
}
