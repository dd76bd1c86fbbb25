package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// openExec asks for an upgrade as kubectl exec does, and answers the connection after the 101.
func openExec(o loadOptions, query url.Values) (net.Conn, *bufio.Reader, error) {
	conn, err := o.dial()
	if err != nil {
		return nil, nil, err
	}
	request := o.request(0, execPath+"?"+query.Encode(),
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: "+execProtocol)
	if _, err := conn.Write(request); err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReaderSize(conn, readerBytes)
	status, _, _, _, err := readHead(reader)
	if err != nil {
		return nil, nil, err
	}
	if status != 101 {
		return nil, nil, fmt.Errorf("status %d to an upgrade", status)
	}
	return conn, reader, nil
}

// loadStream sends bytes through an exec up to the cluster, or receives them from there.
func loadStream(o loadOptions) (result, error) {
	up := o.user == "up"
	query := url.Values{"stdin": {"true"}, "stdout": {"true"}, "command": {"sink"}}
	if !up {
		query.Set("command", "source")
		query.Set("bytes", strconv.FormatInt(o.bytes, 10))
	}
	measured := beginLapse(o.pids)
	conn, reader, err := openExec(o, query)
	if err != nil {
		return result{}, err
	}
	defer conn.Close()
	if up {
		if err := pump(conn, channelStdin, true, o.bytes); err != nil {
			return result{}, err
		}
		// v5 says on a channel of its own that stdin has ended.
		if _, err := conn.Write(frame(opBinary, true, []byte{channelClose, channelStdin})); err != nil {
			return result{}, err
		}
	}
	received, err := drain(reader)
	if err != nil {
		return result{}, err
	}
	r := measured.end()
	if !up && received < o.bytes {
		return result{}, errors.New("the stream was cut short")
	}
	r.Bytes, r.Requests, r.PerSecond = o.bytes, 1, float64(o.bytes)/r.Seconds
	return r, nil
}

const echoBytes = 64

// loadEcho sends a small message through an exec, waits for it to come back, and so on.
func loadEcho(o loadOptions) (result, error) {
	conn, reader, err := openExec(o, url.Values{"stdin": {"true"}, "stdout": {"true"}, "command": {"echo"}})
	if err != nil {
		return result{}, err
	}
	defer conn.Close()
	message := frame(opBinary, true, append([]byte{channelStdin}, make([]byte, echoBytes)...))
	buffer := make([]byte, framePayload+16)
	once := func() error {
		if _, err := conn.Write(message); err != nil {
			return err
		}
		_, payload, err := readFrame(reader, buffer)
		if err == nil && len(payload) != echoBytes+1 {
			err = io.ErrShortBuffer
		}
		return err
	}
	t := &tally{}
	warm := time.Now().Add(time.Duration(o.warmup * float64(time.Second)))
	for time.Now().Before(warm) {
		if err := once(); err != nil {
			return result{}, err
		}
	}
	measured := beginLapse(o.pids)
	took := []float64{}
	for time.Since(measured.began).Seconds() < o.seconds {
		began := time.Now()
		if err := once(); err != nil {
			return result{}, err
		}
		took = append(took, micros(began))
	}
	t.add(took, int64(len(took)*echoBytes))
	return t.into(measured.end()), nil
}
