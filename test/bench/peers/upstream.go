package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
)

// What the benchmark asks for. All of it lies in a namespace of its own; everything else is the real API server's.
const (
	benchNamespace = "/api/v1/namespaces/bench/"
	podPath        = benchNamespace + "pods/small"
	listPath       = benchNamespace + "configmaps"
	watchPath      = benchNamespace + "pods"
	hugePath       = benchNamespace + "events"
	execPath       = podPath + "/exec"
	podBytes       = 2 << 10
	listBytes      = 1 << 20
	hugeBytes      = 256 << 20
	headBytesMax   = 64 << 10
	// Of a connection; kube-apiserver's own default is 100 to 250.
	upstreamStreams = 250
)

// upstream is the API server as the stacks see it: fast on the paths of the benchmark, real on all others.
type upstream struct {
	pod, list canned
	watches   *watchers
	target    *url.URL
	through   *http.Transport
	real      *httputil.ReverseProxy
}

func runUpstream(args []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := flags.String("listen", "", "host:port, HTTPS")
	control := flags.String("control", "", "host:port, plain HTTP: events for watches")
	target := flags.String("target", "https://none.invalid", "https://host:port of the real API server")
	caFile := flags.String("ca", "", "PEM authority of the real API server")
	caKeyFile := flags.String("ca-key", "", "PEM key of that authority: it signs this server's certificate")
	flags.Parse(args)
	up := &upstream{
		pod:     newCanned(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"small","namespace":"bench"},"data":"`, podBytes),
		list:    newCanned(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[],"data":"`, listBytes),
		watches: newWatchers(),
		through: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	var err error
	if up.target, err = url.Parse(*target); err != nil {
		return err
	}
	if up.through.TLSClientConfig, err = clientTLS(*caFile); err != nil {
		return err
	}
	up.real = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(up.target) },
		Transport:     up.through,
		FlushInterval: -1,
		ErrorLog:      silent,
	}
	config, err := signedTLS(*caFile, *caKeyFile, "h2", "http/1.1")
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", *listen, config)
	if err != nil {
		return err
	}
	go func() {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(*control, up.watches))
		os.Exit(1)
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go up.serve(conn.(*tls.Conn))
	}
}

var silent = log.New(io.Discard, "", 0)

// canned is an answer that is always the same.
type canned struct{ whole, body []byte }

// newCanned is a JSON object of so many bytes, with the headers that kube-apiserver sends.
func newCanned(begin string, size int) canned {
	body := begin + strings.Repeat("x", size-len(begin)-2) + `"}`
	head := "HTTP/1.1 200 OK\r\n" +
		"Audit-Id: 3e6b2d0c-1c2f-4a52-9f41-6a1d8f2f0b11\r\n" +
		"Cache-Control: no-cache, private\r\n" +
		"Content-Type: application/json\r\n" +
		"X-Kubernetes-Pf-Flowschema-Uid: 0b4a1fd2-95a1-4f6f-8a1e-0b1f7f1a2c3d\r\n" +
		"X-Kubernetes-Pf-Prioritylevel-Uid: 6f4f3b5e-2d1c-4b0a-9e8f-7a6b5c4d3e2f\r\n" +
		"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	return canned{whole: []byte(head + body), body: []byte(body)}
}

func (c canned) serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(c.body)))
	w.Write(c.body)
}

func (up *upstream) serve(conn *tls.Conn) {
	defer conn.Close()
	if conn.Handshake() != nil {
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		server := &http2.Server{MaxConcurrentStreams: upstreamStreams}
		server.ServeConn(conn, &http2.ServeConnOpts{Handler: http.HandlerFunc(up.serveHTTP2), BaseConfig: &http.Server{ErrorLog: silent}})
		return
	}
	reader := bufio.NewReaderSize(conn, headBytesMax)
	for up.serveNext(conn, reader) {
	}
}

// serveNext says whether the connection can be used again.
func (up *upstream) serveNext(conn *tls.Conn, reader *bufio.Reader) bool {
	if answer := up.fast(reader); answer != nil {
		_, err := conn.Write(answer)
		return err == nil
	}
	request, err := http.ReadRequest(reader)
	if err != nil {
		return false
	}
	switch {
	case request.URL.Path == podPath:
		conn.Write(up.pod.whole)
		return !request.Close
	case request.URL.Path == listPath:
		conn.Write(up.list.whole)
		return !request.Close
	case request.URL.Path == hugePath:
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(hugeBytes)+"\r\n\r\n")
		return up.writeHuge(conn) == nil && !request.Close
	case request.URL.Path == execPath:
		serveExec(conn, reader, request)
		return false
	case isWatch(request.URL):
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
		defer up.watches.add(func(event []byte) { conn.Write(chunkOf(event)) })()
		// Nothing more is asked on it: a byte, or its end, is the end of the watch.
		reader.Peek(1)
		return false
	}
	return up.pass(conn, request)
}

// fast answers a whole request that is waiting for the hot paths without parsing it.
func (up *upstream) fast(reader *bufio.Reader) []byte {
	if _, err := reader.Peek(1); err != nil {
		return nil
	}
	waiting, _ := reader.Peek(reader.Buffered())
	end := bytes.Index(waiting, []byte("\r\n\r\n"))
	if end < 0 || bytes.Contains(waiting[:end], []byte("onnection: close")) {
		return nil
	}
	answer := []byte(nil)
	switch {
	case bytes.HasPrefix(waiting, []byte("GET "+podPath+" ")):
		answer = up.pod.whole
	case bytes.HasPrefix(waiting, []byte("GET "+listPath+" ")):
		answer = up.list.whole
	default:
		return nil
	}
	reader.Discard(end + 4)
	return answer
}

// writeHuge is a list that nobody should ask for, the small one over and over.
func (up *upstream) writeHuge(to io.Writer) error {
	for left := hugeBytes; left > 0; left -= listBytes {
		if _, err := to.Write(up.list.body); err != nil {
			return err
		}
	}
	return nil
}

func (up *upstream) pass(conn net.Conn, request *http.Request) bool {
	request.RequestURI = ""
	request.URL.Scheme, request.URL.Host = up.target.Scheme, up.target.Host
	answer, err := up.through.RoundTrip(request)
	if err != nil {
		io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return false
	}
	defer answer.Body.Close()
	return answer.Write(conn) == nil && !request.Close && !answer.Close
}

func (up *upstream) serveHTTP2(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == podPath:
		up.pod.serve(w)
	case r.URL.Path == listPath:
		up.list.serve(w)
	case r.URL.Path == hugePath:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(hugeBytes))
		up.writeHuge(w)
	case isWatch(r.URL):
		up.watches.serveHTTP2(w, r)
	default:
		up.real.ServeHTTP(w, r)
	}
}

func isWatch(u *url.URL) bool { return u.Path == watchPath && u.Query().Has("watch") }

func chunkOf(data []byte) []byte {
	return append(append([]byte(strconv.FormatInt(int64(len(data)), 16)+"\r\n"), data...), '\r', '\n')
}
