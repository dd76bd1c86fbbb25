package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	idleConnections = 4096
	tunedBuffer     = 64 << 10
)

// tuning is what a Go peer does beyond net/http and yamux as they come. "tuned": one TLS record for a frame's header
// and body, no forced flushes, larger buffers and windows, GOGC=400, GOMAXPROCS=1. "gathered": beyond that the frames
// of many streams in one record, which no Go product that we know of does.
type tuning string

const (
	plain    tuning = "plain"
	tuned    tuning = "tuned"
	gathered tuning = "gathered"
)

func (t tuning) process() error {
	switch t {
	case plain:
		return nil
	case tuned, gathered:
		runtime.GOMAXPROCS(1)
		debug.SetGCPercent(400)
		return nil
	}
	return fmt.Errorf("no tuning %q", t)
}

// transport is a pool of kept-alive HTTP/1.1 connections.
func (t tuning) transport() *http.Transport {
	transport := &http.Transport{MaxIdleConnsPerHost: idleConnections, DisableCompression: true, IdleConnTimeout: 5 * time.Minute}
	if t != plain {
		transport.ReadBufferSize, transport.WriteBufferSize = tunedBuffer, tunedBuffer
	}
	return transport
}

// reverseProxy passes everything on to the target. As it comes it flushes every write, as a proxy of watches and
// logs is told to; tuned it leaves that to net/http, which flushes bodies of unknown length by itself.
func (t tuning) reverseProxy(target *url.URL, through http.RoundTripper) *httputil.ReverseProxy {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport:     through,
		FlushInterval: -1,
		ErrorLog:      silent,
	}
	if t != plain {
		proxy.FlushInterval = 0
		proxy.BufferPool = &buffers{}
	}
	return proxy
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, tunedBuffer)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }

// runProxy is one hop: HTTPS in front (h2 and HTTP/1.1), HTTPS behind.
func runProxy(args []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	listen := flags.String("listen", "", "host:port for clients")
	target := flags.String("target", "", "https://host:port of what is behind")
	certFile := flags.String("cert", "", "PEM certificate of this proxy")
	keyFile := flags.String("key", "", "PEM key of it")
	caFile := flags.String("ca", "", "PEM authority of what is behind")
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
	return serveClients(*listen, *certFile, *keyFile, t.reverseProxy(to, transport))
}

func serveClients(listen, certFile, keyFile string, handler http.Handler) error {
	config, err := serverTLS(certFile, keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, TLSConfig: config, ErrorLog: silent}
	return server.ServeTLS(listener, "", "")
}
