package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const windowBytes = 1 << 30

// h2conn is as little of an HTTP/2 client as a benchmark needs: net/http's would cost more than what is measured.
type h2conn struct {
	target
	conn    net.Conn
	out     *bufio.Writer
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	mu      sync.Mutex
	next    uint32
	unread  uint32
}

func (t target) dialHTTP2() (*h2conn, error) {
	conn, err := t.dial()
	if err != nil {
		return nil, err
	}
	c := &h2conn{target: t, conn: conn, out: bufio.NewWriterSize(conn, readerBytes), next: 1}
	c.framer = http2.NewFramer(c.out, bufio.NewReaderSize(conn, readerBytes))
	c.framer.SetMaxReadFrameSize(1 << 20)
	c.framer.SetReuseFrames()
	c.encoder = hpack.NewEncoder(&c.block)
	io.WriteString(c.out, http2.ClientPreface)
	c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: windowBytes}, http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	c.framer.WriteWindowUpdate(0, windowBytes)
	return c, c.out.Flush()
}

// get sends a request and answers its stream's number.
func (c *h2conn) get(token, path string) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.block.Reset()
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: c.address},
		{Name: ":path", Value: c.prefix + path},
		{Name: "user-agent", Value: "kubectl/v1.35.4 (linux/amd64) kubernetes/0000000"},
		{Name: "accept", Value: "application/json, */*"},
		{Name: "authorization", Value: "Bearer " + token},
	} {
		c.encoder.WriteField(field)
	}
	id := c.next
	c.next += 2
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
	if err != nil {
		return 0, err
	}
	return id, c.out.Flush()
}

// receiver hears what arrives on the streams of a connection.
type receiver struct {
	status func(stream uint32, status int)
	data   func(stream uint32, data []byte)
	end    func(stream uint32)
}

// read handles frames until the connection ends or `end` of the receiver panics out; it gives windows back.
func (c *h2conn) read(r receiver, goesOn func() bool) error {
	status := 0
	decoder := hpack.NewDecoder(4096, func(field hpack.HeaderField) {
		if field.Name == ":status" {
			status, _ = strconv.Atoi(field.Value)
		}
	})
	for goesOn() {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			if _, err := decoder.Write(f.HeaderBlockFragment()); err != nil {
				return err
			}
			r.status(f.StreamID, status)
			if f.StreamEnded() {
				r.end(f.StreamID)
			}
		case *http2.DataFrame:
			r.data(f.StreamID, f.Data())
			c.giveBack(f.Length)
			if f.StreamEnded() {
				r.end(f.StreamID)
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.write(func() error { return c.framer.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				c.write(func() error { return c.framer.WritePing(true, f.Data) })
			}
		case *http2.RSTStreamFrame:
			return fmt.Errorf("stream reset: %v", f.ErrCode)
		case *http2.GoAwayFrame:
			return errGoAway
		}
	}
	return nil
}

var errGoAway = errors.New("the server sent GOAWAY")

// giveBack opens the connection's window again, a quarter of it at once.
func (c *h2conn) giveBack(length uint32) {
	c.unread += length
	if c.unread < windowBytes/4 {
		return
	}
	bytes := c.unread
	c.unread = 0
	c.write(func() error { return c.framer.WriteWindowUpdate(0, bytes) })
}

func (c *h2conn) write(frame func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if frame() == nil {
		c.out.Flush()
	}
}

// getHTTP2 keeps so many requests under way on one connection.
func getHTTP2(o loadOptions, index int, p *phase, t *tally) {
	for failures := 0; failures < failuresMax && !p.over.Load(); {
		err := getOnHTTP2(o, index, p, t)
		if err == nil || errors.Is(err, errGoAway) {
			t.mu.Lock()
			t.reconnects++
			t.mu.Unlock()
			continue
		}
		failures++
		t.fail(err)
		time.Sleep(againAfterMs * time.Millisecond)
	}
}

func getOnHTTP2(o loadOptions, index int, p *phase, t *tally) error {
	c, err := o.dialHTTP2()
	if err != nil {
		return err
	}
	defer c.conn.Close()
	type asked struct {
		at     time.Time
		status int
	}
	took, bytes := []float64{}, int64(0)
	defer func() { t.add(took, bytes) }()
	underWay := map[uint32]*asked{}
	var failed error
	// A client is one user's: so are all streams of its connection.
	token := o.token(index)
	ask := func() {
		at := time.Now()
		id, err := c.get(token, o.path)
		if err != nil {
			failed = err
			return
		}
		underWay[id] = &asked{at: at}
	}
	for range o.streams {
		ask()
	}
	return errors.Join(c.read(receiver{
		status: func(stream uint32, status int) {
			if status != 200 {
				failed = fmt.Errorf("status %d", status)
			}
		},
		data: func(stream uint32, data []byte) {
			if p.measuring.Load() {
				bytes += int64(len(data))
			}
		},
		end: func(stream uint32) {
			one := underWay[stream]
			delete(underWay, stream)
			if one == nil {
				return
			}
			if p.measuring.Load() {
				took = append(took, micros(one.at))
			}
			if p.goesOn(o) {
				ask()
			}
		},
	}, func() bool { return failed == nil && len(underWay) > 0 }), failed)
}
