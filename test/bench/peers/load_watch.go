package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	eventsSent    = 20
	openAtOnce    = 32
	deliverWithin = 30 * time.Second
	triesMax      = 30
	tryAgainAfter = time.Second
)

const enough = "enough"

// loadWatch opens watches in steps. After each it says how many there are, and waits for a line on its standard input
// while the runner looks at memory. After the last, or when that line says that they are enough, it has events sent to
// all of them and measures how long they take to arrive.
func loadWatch(o loadOptions) (result, error) {
	w := &watching{arrived: make(chan float64, o.conns*o.streams)}
	input := bufio.NewReader(os.Stdin)
	opened := 0
	for step := 1; step <= o.steps; step++ {
		until := o.conns * step / o.steps
		if err := w.open(o, opened, until); err != nil {
			return result{}, err
		}
		opened = until
		fmt.Printf("{\"opened\":%d}\n", opened*o.streams)
		line, err := input.ReadString('\n')
		if err != nil {
			return result{}, err
		}
		if strings.TrimSpace(line) == enough {
			break
		}
	}
	count := opened * o.streams
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

func (w *watching) open(o loadOptions, from, until int) error {
	connections := make(chan int)
	failed := make(chan error, until-from)
	var opening sync.WaitGroup
	for range openAtOnce {
		opening.Add(1)
		go func() {
			defer opening.Done()
			for index := range connections {
				open := w.openHTTP1
				if o.http2 {
					open = w.openHTTP2
				}
				if err := open(o.seat(index), index); err != nil {
					failed <- err
				}
			}
		}()
	}
	for index := from; index < until; index++ {
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

// seat is whose connection it is and where it goes.
func (o loadOptions) seat(index int) loadOptions {
	if o.clusters > 0 {
		o.prefix = fmt.Sprintf("%s/clusters/cluster-%d", o.prefix, index%o.clusters)
		o.tokens = []string{o.token(index / o.clusters)}
	}
	return o
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
		lines := bufio.NewReaderSize(httputil.NewChunkedReader(reader), 4<<10)
		for {
			line, err := lines.ReadSlice('\n')
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
	// A frame may hold a part of an event, or several.
	begin := map[uint32][]byte{}
	go func() {
		failed <- c.read(receiver{
			status: func(_ uint32, status int) { begun <- status },
			data: func(stream uint32, data []byte) {
				for whole := true; whole; {
					var line []byte
					if line, data, whole = bytes.Cut(data, []byte("\n")); whole {
						w.see(append(begin[stream], line...))
						delete(begin, stream)
					} else if len(line) > 0 {
						begin[stream] = append(begin[stream], line...)
					}
				}
			},
			end: func(uint32) {},
		}, func() bool { return true })
	}()
	for range o.streams {
		if _, err := c.get(o.token(index), o.path); err != nil {
			return err
		}
	}
	tries := 0
	for left := o.streams; left > 0; {
		select {
		case status := <-begun:
			if status == 200 {
				left--
				continue
			}
			// A session that is being opened, on a machine that is busy with opening sessions: as clients do.
			if tries++; status != 503 || tries > triesMax {
				return fmt.Errorf("status %d to a watch", status)
			}
			time.Sleep(tryAgainAfter)
			if _, err := c.get(o.token(index), o.path); err != nil {
				return err
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
