package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/net/http2"
)

const (
	wireYamux    = "yamux"
	wireHTTP2    = "h2"
	dialAgain    = 100 * time.Millisecond
	tunedWindow  = 4 << 20
	streamsLimit = 100_000
)

// yamuxConfig is yamux as it comes; tuned it has larger windows.
func yamuxConfig(t tuning) *yamux.Config {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	config.AcceptBacklog = 8192
	if t != plain {
		config.MaxStreamWindowSize = tunedWindow
	}
	return config
}

// runTunnelGateway takes clients on one port and the agent that dials in on another.
func runTunnelGateway(args []string) error {
	flags := flag.NewFlagSet("tunnel-gateway", flag.ExitOnError)
	listen := flags.String("listen", "", "host:port for clients")
	agents := flags.String("agents", "", "host:port for the agent")
	wire := flags.String("wire", wireYamux, "yamux or h2, inside TLS")
	certFile := flags.String("cert", "", "PEM certificate of both ports")
	keyFile := flags.String("key", "", "PEM key of it")
	tune := flags.String("tuning", string(plain), "plain, tuned or gathered")
	flags.Parse(args)
	t := tuning(*tune)
	if err := t.process(); err != nil {
		return err
	}
	config, err := serverTLS(*certFile, *keyFile, "postern-bench")
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", *agents, config)
	if err != nil {
		return err
	}
	gateway := &tunnelGateway{tuning: t, wire: *wire}
	go gateway.acceptAgents(listener)
	return serveClients(*listen, *certFile, *keyFile, gateway)
}

// tunnelGateway hands every request to the agent that came last.
type tunnelGateway struct {
	tuning
	wire  string
	agent atomic.Pointer[http.Handler]
}

func (g *tunnelGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	agent := g.agent.Load()
	if agent == nil {
		http.Error(w, "no agent", http.StatusServiceUnavailable)
		return
	}
	(*agent).ServeHTTP(w, r)
}

func (g *tunnelGateway) acceptAgents(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		through, err := g.overTunnel(conn)
		if err != nil {
			conn.Close()
			continue
		}
		var handler http.Handler = g.reverseProxy(&url.URL{Scheme: "http", Host: "agent"}, through)
		g.agent.Store(&handler)
	}
}

// overTunnel sends requests through the connection of an agent.
func (g *tunnelGateway) overTunnel(conn net.Conn) (http.RoundTripper, error) {
	switch g.wire {
	case wireHTTP2:
		transport := &http2.Transport{AllowHTTP: true, DisableCompression: true, StrictMaxConcurrentStreams: true}
		return transport.NewClientConn(conn)
	case wireYamux:
		session, err := yamux.Client(g.wrap(conn), yamuxConfig(g.tuning))
		if err != nil {
			return nil, err
		}
		transport := g.transport()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return session.Open() }
		return transport, nil
	}
	return nil, fmt.Errorf("no wire %q", g.wire)
}

func (t tuning) wrap(conn net.Conn) net.Conn {
	switch t {
	case tuned:
		return &pairingConn{Conn: conn}
	case gathered:
		return newGatheringConn(conn)
	case plain:
	}
	return conn
}

// runTunnelAgent dials out and serves what comes back from the target.
func runTunnelAgent(args []string) error {
	flags := flag.NewFlagSet("tunnel-agent", flag.ExitOnError)
	gateway := flags.String("gateway", "", "host:port of the gateway's port for agents")
	gatewayCA := flags.String("gateway-ca", "", "PEM authority of the gateway")
	target := flags.String("target", "", "https://host:port of what is behind")
	caFile := flags.String("ca", "", "PEM authority of what is behind")
	wire := flags.String("wire", wireYamux, "yamux or h2, inside TLS")
	tune := flags.String("tuning", string(plain), "plain, tuned or gathered")
	flags.Parse(args)
	t := tuning(*tune)
	if err := t.process(); err != nil {
		return err
	}
	transport := t.transport()
	var err error
	if transport.TLSClientConfig, err = clientTLS(*caFile); err != nil {
		return err
	}
	to, err := url.Parse(*target)
	if err != nil {
		return err
	}
	config, err := clientTLS(*gatewayCA, "postern-bench")
	if err != nil {
		return err
	}
	handler := t.reverseProxy(to, transport)
	for {
		if err := serveTunnel(*gateway, config, *wire, t, handler); err != nil {
			log.Print(err)
		}
		time.Sleep(dialAgain)
	}
}

func serveTunnel(address string, config *tls.Config, wire string, t tuning, handler http.Handler) error {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	switch wire {
	case wireHTTP2:
		server := &http2.Server{MaxConcurrentStreams: streamsLimit}
		server.ServeConn(conn, &http2.ServeConnOpts{Handler: handler})
		return errors.New("the gateway closed the tunnel")
	case wireYamux:
		session, err := yamux.Server(t.wrap(conn), yamuxConfig(t))
		if err != nil {
			return err
		}
		return (&http.Server{Handler: handler, ErrorLog: silent}).Serve(session)
	}
	return fmt.Errorf("no wire %q", wire)
}
