package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// target is what the load goes to, the same for every stack.
type target struct {
	address string
	prefix  string
	tls     *tls.Config
	tokens  []string
	user    string
}

// result is what a run says, as JSON. Times are in microseconds.
type result struct {
	Requests   int                `json:"requests"`
	Seconds    float64            `json:"seconds"`
	PerSecond  float64            `json:"perSecond"`
	P50        float64            `json:"p50"`
	P99        float64            `json:"p99"`
	Bytes      int64              `json:"bytes"`
	Failures   int                `json:"failures"`
	Failure    string             `json:"failure,omitempty"`
	Reconnects int                `json:"reconnects"`
	CPU        map[string]float64 `json:"cpuSeconds"`
	LoadCPU    float64            `json:"loadCpuSeconds"`
	BusyCPU    float64            `json:"machineCpuSeconds"`
	Opened     int                `json:"opened,omitempty"`
	AllP50     float64            `json:"allP50,omitempty"`
	Statuses   map[string]int     `json:"statuses,omitempty"`
	RetryAfter int                `json:"retryAfter,omitempty"`
}

type loadOptions struct {
	target
	path            string
	conns, streams  int
	http2           bool
	seconds, warmup float64
	requests        int
	rate            float64
	steps           int
	clusters        int
	bytes           int64
	pids            []string
	control         string
}

func runLoad(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	mode := flags.String("mode", "get", "get, connect, watch, up, down, echo, flood or stall")
	o := loadOptions{}
	flags.StringVar(&o.address, "address", "", "host:port")
	flags.StringVar(&o.prefix, "prefix", "", "stands before every path")
	flags.StringVar(&o.path, "path", podPath, "what is asked for")
	flags.StringVar(&o.control, "control", "", "host:port of the upstream's control port")
	flags.IntVar(&o.conns, "conns", 32, "connections")
	flags.IntVar(&o.streams, "streams", 1, "requests at the same time on each connection, with --h2")
	flags.BoolVar(&o.http2, "h2", false, "HTTP/2 instead of HTTP/1.1")
	flags.Float64Var(&o.seconds, "seconds", 5, "how long is measured")
	flags.Float64Var(&o.warmup, "warmup", 1, "how long it runs before")
	flags.IntVar(&o.requests, "requests", 0, "ends after so many requests, if not 0")
	flags.Float64Var(&o.rate, "rate", 0, "get: requests a second on each connection; as fast as they are answered when 0")
	flags.IntVar(&o.steps, "steps", 1, "watch: they are opened in so many steps")
	flags.IntVar(&o.clusters, "clusters", 0, "watch: connections go to so many clusters in turn, those of one user after those of another")
	flags.Int64Var(&o.bytes, "bytes", 1<<30, "up and down: how many")
	ca := flags.String("ca", "", "PEM authority; plain HTTP without")
	tokens := flags.String("tokens", "", "file with a bearer token a line; connections take turns")
	pids := flags.String("cpu", "", "process ids with commas: whose CPU time is measured")
	flags.Parse(args)
	protocol := "http/1.1"
	if o.http2 {
		protocol = "h2"
	}
	if *ca != "" {
		var err error
		if o.tls, err = clientTLS(*ca, protocol); err != nil {
			return err
		}
		o.tls.ServerName, _, _ = strings.Cut(o.address, ":")
	}
	if *tokens != "" {
		text, err := os.ReadFile(*tokens)
		if err != nil {
			return err
		}
		o.tokens = strings.Fields(string(text))
	}
	if *pids != "" {
		o.pids = strings.Split(*pids, ",")
	}
	run, known := map[string]func(loadOptions) (result, error){
		"get": loadGet, "connect": loadConnect, "watch": loadWatch, "up": loadStream, "down": loadStream, "echo": loadEcho,
		"flood": loadFlood, "stall": loadStall,
	}[*mode]
	if !known {
		return fmt.Errorf("no mode %q", *mode)
	}
	o.user = *mode
	measured, err := run(o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

func (t target) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", t.address, 10*time.Second)
	if err != nil || t.tls == nil {
		return conn, err
	}
	secure := tls.Client(conn, t.tls)
	if err := secure.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (t target) token(index int) string {
	if len(t.tokens) == 0 {
		return "ptk_a-peer-does-not-look-at-this-token-000000000"
	}
	return t.tokens[index%len(t.tokens)]
}

func (t target) request(index int, path string, more ...string) []byte {
	lines := []string{
		"GET " + t.prefix + path + " HTTP/1.1",
		"Host: " + t.address,
		"User-Agent: kubectl/v1.35.4 (linux/amd64) kubernetes/0000000",
		"Accept: application/json, */*",
		"Authorization: Bearer " + t.token(index),
	}
	return []byte(strings.Join(append(lines, more...), "\r\n") + "\r\n\r\n")
}

// lapse is one measured stretch of time: begin it when everything is warm.
type lapse struct {
	began time.Time
	pids  []string
	cpu   map[string]float64
	busy  float64
}

func beginLapse(pids []string) lapse {
	return lapse{time.Now(), pids, cpuOf(pids), machineCPU()}
}

func (l lapse) end() result {
	r := result{Seconds: time.Since(l.began).Seconds(), CPU: map[string]float64{}, BusyCPU: machineCPU() - l.busy}
	self := strconv.Itoa(os.Getpid())
	for pid, seconds := range cpuOf(l.pids) {
		if pid == self {
			r.LoadCPU = seconds - l.cpu[pid]
		} else {
			r.CPU[pid] = seconds - l.cpu[pid]
		}
	}
	return r
}

// tally gathers what the workers of a run saw while it was measured.
type tally struct {
	mu         sync.Mutex
	micros     []float64
	bytes      int64
	failures   int
	failure    string
	reconnects int
}

func (t *tally) add(micros []float64, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.micros = append(t.micros, micros...)
	t.bytes += bytes
}

func (t *tally) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures++
	t.failure = err.Error()
}

func (t *tally) into(r result) result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Requests, r.Bytes, r.Failures, r.Failure, r.Reconnects = len(t.micros), t.bytes, t.failures, t.failure, t.reconnects
	r.PerSecond = float64(r.Requests) / r.Seconds
	slices.Sort(t.micros)
	r.P50, r.P99 = quantile(t.micros, 0.5), quantile(t.micros, 0.99)
	return r
}

// quantile of a sorted list.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(math.Floor(q*float64(len(sorted)))))]
}

func micros(since time.Time) float64 { return float64(time.Since(since).Nanoseconds()) / 1000 }

// readResponse reads one answer to its end, and answers its body's length. It knows what a benchmark is answered
// with: a length, or chunks.
func readResponse(reader *bufio.Reader) (status int, length int64, reusable bool, err error) {
	status, length, chunked, reusable, err := readHead(reader)
	if err != nil {
		return
	}
	if !chunked {
		_, err = reader.Discard(int(length))
		return
	}
	for length = 0; ; {
		var size int64
		if size, err = readChunkHead(reader); err != nil {
			return
		}
		if _, err = reader.Discard(int(size) + 2); err != nil || size == 0 {
			return
		}
		length += size
	}
}

func readHead(reader *bufio.Reader) (status int, length int64, chunked, reusable bool, err error) {
	reusable = true
	for first := true; ; first = false {
		var line []byte
		if line, err = reader.ReadSlice('\n'); err != nil {
			return
		}
		text := line[:max(0, len(line)-2)]
		switch {
		case first:
			if len(text) < 12 {
				return 0, 0, false, false, fmt.Errorf("not HTTP: %q", text)
			}
			status, err = strconv.Atoi(string(text[9:12]))
			if err != nil {
				return
			}
		case len(text) == 0:
			return
		case hasName(text, "content-length:"):
			length, err = strconv.ParseInt(strings.TrimSpace(string(text[15:])), 10, 64)
			if err != nil {
				return
			}
		case hasName(text, "transfer-encoding:"):
			chunked = true
		case hasName(text, "connection:"):
			reusable = !strings.Contains(strings.ToLower(string(text)), "close")
		}
	}
}

func hasName(line []byte, name string) bool {
	return len(line) >= len(name) && strings.EqualFold(string(line[:len(name)]), name)
}

func readChunkHead(reader *bufio.Reader) (int64, error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(line)), 16, 64)
}
