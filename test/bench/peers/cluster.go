package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// runClusters serves them, and watches of pods in all of them.
func runClusters(args []string) error {
	flags := flag.NewFlagSet("clusters", flag.ExitOnError)
	listen := flags.String("listen", "", "host:port, HTTPS")
	control := flags.String("control", "", "host:port, plain HTTP: events for watches")
	caFile := flags.String("ca", "", "PEM authority of the server's certificate")
	caKeyFile := flags.String("ca-key", "", "PEM key of that authority")
	flags.Parse(args)
	config, err := signedTLS(*caFile, *caKeyFile, "h2", "http/1.1")
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", *listen, config)
	if err != nil {
		return err
	}
	watches, all := newWatchers(), newClusters()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isWatch(r.URL) {
			watches.serveHTTP2(w, r)
			return
		}
		all.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: handler, ErrorLog: silent, TLSConfig: config}
	if err := http2.ConfigureServer(server, &http2.Server{MaxConcurrentStreams: upstreamStreams}); err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- http.ListenAndServe(*control, watches) }()
	go func() { failed <- server.Serve(listener) }()
	return <-failed
}

// clusters stand for the API servers of many clusters at one address: each agent is told apart by its own token, and
// finds what it has made there. They know just what an agent needs to make accounts, and allow it to.
type clusters struct {
	mu   sync.Mutex
	next int
	of   map[string]map[string]*kubeObject
}

func newClusters() *clusters { return &clusters{of: map[string]map[string]*kubeObject{}} }

// kubeObject is an object as it was sent, with what a server adds.
type kubeObject struct {
	key      string
	Metadata map[string]any    `json:"metadata"`
	Data     map[string][]byte `json:"data,omitempty"`
	Text     map[string]string `json:"stringData,omitempty"`
}

const (
	tokenLife     = time.Hour
	versionPath   = "/version"
	namespacePath = "/api/v1/namespaces"
	reviewPath    = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
)

func (c *clusters) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == versionPath:
		answer(w, 200, map[string]string{"gitVersion": "v1.35.4"})
	case r.URL.Path == namespacePath && r.URL.Query().Has("watch"):
		// Nothing ever changes; the agent asks again when the time that it said is over.
		w.Header().Set("Content-Type", "application/json")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case r.URL.Path == namespacePath:
		answer(w, 200, list([]*kubeObject{{Metadata: map[string]any{"name": "bench"}}}))
	case r.URL.Path == reviewPath:
		c.review(w, r)
	case strings.HasSuffix(r.URL.Path, "/token"):
		expires := time.Now().Add(tokenLife).UTC().Format(time.RFC3339)
		answer(w, 201, map[string]any{"status": map[string]string{"token": "token-of-an-account", "expirationTimestamp": expires}})
	default:
		c.object(w, r)
	}
}

// review allows what an agent needs, and nothing that would make its self-test complain.
func (c *clusters) review(w http.ResponseWriter, r *http.Request) {
	asked := struct {
		Spec struct {
			ResourceAttributes struct {
				Verb string `json:"verb"`
			} `json:"resourceAttributes"`
		} `json:"spec"`
	}{}
	json.NewDecoder(r.Body).Decode(&asked)
	verb := asked.Spec.ResourceAttributes.Verb
	answer(w, 201, map[string]any{"status": map[string]bool{"allowed": !slices.Contains([]string{"impersonate", "escalate", "bind"}, verb)}})
}

func (c *clusters) object(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := r.Header.Get("Authorization")
	objects := c.of[who]
	if objects == nil {
		objects = map[string]*kubeObject{}
		c.of[who] = objects
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		made := &kubeObject{}
		if err := json.NewDecoder(r.Body).Decode(made); err != nil {
			answer(w, 400, map[string]string{"message": err.Error()})
			return
		}
		made.key = strings.TrimSuffix(r.URL.Path, "/"+made.name()) + "/" + made.name()
		if objects[made.key] != nil && r.Method == http.MethodPost {
			answer(w, 409, map[string]string{"message": "it exists"})
			return
		}
		c.next++
		made.Metadata["uid"] = fmt.Sprintf("uid-%d", c.next)
		made.Metadata["resourceVersion"] = strconv.Itoa(c.next)
		made.Data = map[string][]byte{}
		for name, text := range made.Text {
			made.Data[name] = []byte(text)
		}
		made.Text = nil
		objects[made.key] = made
		answer(w, 201, made)
	case http.MethodDelete:
		delete(objects, r.URL.Path)
		answer(w, 200, map[string]string{"status": "Success"})
	default:
		if found := objects[r.URL.Path]; found != nil {
			answer(w, 200, found)
		} else if selector := r.URL.Query().Get("labelSelector"); selector != "" {
			answer(w, 200, list(selected(objects, r.URL.Path, selector)))
		} else {
			answer(w, 404, map[string]string{"message": "not found"})
		}
	}
}

func (o *kubeObject) name() string { return fmt.Sprint(o.Metadata["name"]) }

// selected are the objects of a collection whose labels are as "key=value,key" says.
func selected(objects map[string]*kubeObject, collection, selector string) []*kubeObject {
	found := []*kubeObject{}
	for key, object := range objects {
		labels, _ := object.Metadata["labels"].(map[string]any)
		if isIn(key, collection) && matches(labels, selector) {
			found = append(found, object)
		}
	}
	return found
}

// isIn knows a collection of all namespaces from its having none in its path.
func isIn(key, collection string) bool {
	kind := collection[strings.LastIndexByte(collection, '/')+1:]
	parts := strings.Split(key, "/")
	if len(parts) < 2 || parts[len(parts)-2] != kind {
		return false
	}
	return !strings.Contains(collection, "/namespaces/") || strings.HasPrefix(key, collection+"/")
}

func matches(labels map[string]any, selector string) bool {
	for _, requirement := range strings.Split(selector, ",") {
		key, value, hasValue := strings.Cut(requirement, "=")
		found, isThere := labels[key]
		if !isThere || hasValue && found != value {
			return false
		}
	}
	return true
}

func list(items []*kubeObject) map[string]any {
	return map[string]any{"metadata": map[string]string{"resourceVersion": "1"}, "items": items}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
