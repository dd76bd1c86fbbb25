package main

import (
	"encoding/binary"
	"net"
	"sync"
)

const (
	yamuxHeaderBytes = 12
	yamuxTypeData    = 0
)

// pairingConn writes a yamux frame's header and its body in one piece. yamux writes them apart, which is two TLS
// records and two system calls for each frame.
type pairingConn struct {
	net.Conn
	out []byte
}

// Write is called by yamux's one sender only.
func (p *pairingConn) Write(data []byte) (int, error) {
	if len(p.out) == 0 && len(data) == yamuxHeaderBytes && data[1] == yamuxTypeData && binary.BigEndian.Uint32(data[8:]) > 0 {
		p.out = append(p.out, data...)
		return len(data), nil
	}
	if len(p.out) == 0 {
		return p.Conn.Write(data)
	}
	p.out = append(p.out, data...)
	_, err := p.Conn.Write(p.out)
	p.out = p.out[:0]
	return len(data), err
}

const gatheredMax = 1 << 20

// gatheringConn writes in one piece whatever was given to it while an earlier write was under way: frames of many
// streams in one TLS record.
type gatheringConn struct {
	net.Conn
	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte
	spare   []byte
	err     error
}

func newGatheringConn(conn net.Conn) *gatheringConn {
	g := &gatheringConn{Conn: conn}
	g.changed = sync.NewCond(&g.mu)
	go g.flush()
	return g
}

func (g *gatheringConn) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) >= gatheredMax && g.err == nil {
		g.changed.Wait()
	}
	if g.err != nil {
		return 0, g.err
	}
	if len(g.waiting) == 0 {
		g.changed.Broadcast()
	}
	g.waiting = append(g.waiting, p...)
	return len(p), nil
}

func (g *gatheringConn) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.err == nil {
		for len(g.waiting) == 0 && g.err == nil {
			g.changed.Wait()
		}
		out := g.waiting
		g.waiting = g.spare[:0]
		g.mu.Unlock()
		_, err := g.Conn.Write(out)
		g.mu.Lock()
		g.spare = out
		if err != nil {
			g.err = err
		}
		g.changed.Broadcast()
	}
}

func (g *gatheringConn) Close() error {
	err := g.Conn.Close()
	g.mu.Lock()
	if g.err == nil {
		g.err = net.ErrClosed
	}
	g.changed.Broadcast()
	g.mu.Unlock()
	return err
}
