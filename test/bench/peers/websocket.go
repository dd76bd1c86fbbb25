package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// The channels of v5.channel.k8s.io: the first byte of every message.
const (
	execProtocol  = "v5.channel.k8s.io"
	channelStdin  = 0
	channelStdout = 1
	channelError  = 3
	channelClose  = 255
	framePayload  = 32 << 10
)

const (
	opBinary = 2
	opClose  = 8
	maskBit  = 0x80
	finBit   = 0x80
)

var errFrame = errors.New("a WebSocket frame that the benchmark does not send")

// frame is one binary message (RFC 6455 section 5.2). A client's frames are masked, here with a key of zeros, so
// that masking costs neither side anything.
func frame(opcode byte, masked bool, payload []byte) []byte {
	head := []byte{finBit | opcode}
	mask := byte(0)
	if masked {
		mask = maskBit
	}
	switch {
	case len(payload) < 126:
		head = append(head, mask|byte(len(payload)))
	case len(payload) < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, mask|126), uint16(len(payload)))
	default:
		head = binary.BigEndian.AppendUint64(append(head, mask|127), uint64(len(payload)))
	}
	if masked {
		head = append(head, 0, 0, 0, 0)
	}
	return append(head, payload...)
}

// readFrame answers the next frame's opcode and payload, which is valid until the next call.
func readFrame(reader *bufio.Reader, buffer []byte) (opcode byte, payload []byte, err error) {
	head := buffer[:2]
	if _, err = io.ReadFull(reader, head); err != nil {
		return
	}
	opcode, masked, length := head[0]&0x0f, head[1]&maskBit != 0, uint64(head[1]&0x7f)
	switch length {
	case 126:
		if _, err = io.ReadFull(reader, buffer[:2]); err != nil {
			return
		}
		length = uint64(binary.BigEndian.Uint16(buffer))
	case 127:
		if _, err = io.ReadFull(reader, buffer[:8]); err != nil {
			return
		}
		length = binary.BigEndian.Uint64(buffer)
	}
	key := [4]byte{}
	if masked {
		if _, err = io.ReadFull(reader, key[:]); err != nil {
			return
		}
	}
	if length > uint64(len(buffer)) || key != [4]byte{} {
		return 0, nil, errFrame
	}
	payload = buffer[:length]
	_, err = io.ReadFull(reader, payload)
	return
}

// serveExec does what the query's command says: "echo" sends stdin back, "sink" reads it to its end, "source" sends
// as many bytes as the query says on stdout. A command ends with a Status on the error channel, as kubelet's do.
func serveExec(conn net.Conn, reader *bufio.Reader, request *http.Request) {
	accept := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Protocol: "+execProtocol+"\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(accept[:])+"\r\n\r\n")
	switch request.URL.Query().Get("command") {
	case "echo":
		echo(conn, reader)
	case "sink":
		drain(reader)
	case "source":
		source(conn, request.URL.Query())
	}
	conn.Write(frame(opBinary, false, append([]byte{channelError}, `{"metadata":{},"status":"Success"}`...)))
	conn.Write(frame(opClose, false, []byte{3, 232}))
	// The other side closes: bytes of ours that it has not read would be lost with a reset.
	io.Copy(io.Discard, reader)
}

func echo(conn net.Conn, reader *bufio.Reader) {
	buffer := make([]byte, framePayload+16)
	for {
		opcode, payload, err := readFrame(reader, buffer)
		if err != nil || opcode == opClose || payload[0] == channelClose {
			return
		}
		payload[0] = channelStdout
		if _, err := conn.Write(frame(opBinary, false, payload)); err != nil {
			return
		}
	}
}

// drain reads messages until stdin is closed, and answers how many bytes they held.
func drain(reader *bufio.Reader) (bytes int64, err error) {
	buffer := make([]byte, framePayload+16)
	for {
		opcode, payload, err := readFrame(reader, buffer)
		if err != nil {
			return bytes, err
		}
		if opcode == opClose || payload[0] == channelClose || payload[0] == channelError {
			return bytes, nil
		}
		bytes += int64(len(payload) - 1)
	}
}

func source(conn net.Conn, query url.Values) {
	bytes, _ := strconv.ParseInt(query.Get("bytes"), 10, 64)
	pump(conn, channelStdout, false, bytes)
}

// pump writes so many bytes in messages of 32 KiB.
func pump(conn net.Conn, channel byte, masked bool, bytes int64) error {
	payload := make([]byte, 1+framePayload)
	payload[0] = channel
	whole := frame(opBinary, masked, payload)
	for ; bytes > 0; bytes -= framePayload {
		if _, err := conn.Write(whole); err != nil {
			return err
		}
	}
	return nil
}
