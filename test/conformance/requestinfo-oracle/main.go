// Prints random requests, one JSON line each, with the RequestInfo that the real kube-apiserver code
// makes of them. Run in test/cluster, whose module has that code:
//
//	go run ../conformance/requestinfo-oracle/main.go 1500 2>/dev/null
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

type RI struct {
	IsRes    bool
	Verb     string
	Prefix   string
	Group    string
	Version  string
	NS       string
	Res      string
	Sub      string
	Name     string
	Parts    []string
	FieldSel string
	LabelSel string
}
type out struct {
	In    string `json:"in"`
	Path  string `json:"path"`
	RI    *RI    `json:"ri"`
	Error bool   `json:"error,omitempty"`
}

func pick(r *rand.Rand, s []string) string { return s[r.Intn(len(s))] }

func main() {
	r := rand.New(rand.NewSource(20260))
	f := &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	methods := []string{"GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "FOO"}
	starts := []string{"/api/v1", "/api/v1", "/apis/apps/v1", "/apis/g.example/v1beta1", "/api", "/apis", "/apis/apps", "/version", "", "/api/v1/watch", "/api/v1/proxy", "/apis/apps/v1/watch", "//api/v1", "/%61pi/v1"}
	segs := []string{"namespaces", "namespaces", "a", "b", "pods", "secrets", "p", "exec", "status", "finalize", "log", "proxy", "watch", "x:80", "", "..", "%2e%2e", "a%2Fb", "%73ecrets", "*"}
	keys := []string{"watch", "watch", "fieldSelector", "fieldSelector", "labelSelector", "limit", "timeoutSeconds", "Watch", "resourceVersion", "continue", "sendInitialEvents", "w%61tch", "fieldSelector;", "allowWatchBookmarks"}
	vals := map[string][]string{
		"watch": {"true", "false", "0", "1", "False", "FALSE", "", "no", "fal%73e", "fal%C5%BFe", "%zz", "true;x", "+false", "00"},
		"fieldSelector": {"metadata.name%3Ds", "metadata.name=s", "metadata.name%3D%3Ds", "metadata.name!%3Ds", "metadata.name%3D..", "metadata.name%3D.", "metadata.name%3Da/b", "metadata.name%3Da%252e", "metadata.name%3D",
			"metadata.name%3Db,metadata.name%3Da", "metadata.name%3D%3Db,metadata.name%3Da", "metadata.name%3Da%5C,b", "metadata.name%3Da%5C%3Db", "metadata.name%3Da%5C%5C", "metadata.name%3Da%5C", "metadata.name%3Da%5Cb", "metadata.name%3Da%3Db",
			"metadata.namespace%3Da,metadata.name%3Ds", "metadata.namespace!%3Dpostern-system,metadata.name!%3Ds", "spec.x", ",", ",,metadata.name%3Ds,", "%20metadata.name%3Ds", "metadata.name%3D+s+", "metadata.name+%3Ds", "!%3D", "%3D", "metadata.name%3D!%3Ds", "metadata.name!metadata.name%3Ds", "", "%", "a;b", "metadata.name>s", "metadata.name%3Dé"},
		"labelSelector": {"a%3Db", "a", "!a", "a,b", "a,,b", "a,", ",a", "", "a+in+(b,c)", "a+notin+(b)", "a+in+()", "a+in+(,)", "a+in+(b,,c)", "a+in+(b", "a+in+b", "a%3D%3Db", "a!%3Db", "a>1", "a<x", "a>", "a%3D", "a%3D,b", "!a%3Db", "!a+in+(b)", "a/b/c", "x.y/z%3D1", "X.y/z", "-a", "a-", "a_b.c-d", "in+in+(in)", "notin", "in", "!in", "a+b", "a%3Db%3Dc", "(a)", "a%3D-b", "a%00b", "a%00,", "a%3Db+%00,,", "!!a", "a!b", "a+in+(b)c", "a+in+(b)+,c", "a%3Dé", "a%3D%3D%3Db", "/a", "a%3Db;c", "a>%2B5", "a>9223372036854775807", "a>9223372036854775808", "a%3D(b)", "a+notin+(in,notin)", "a%09in%0A(b)"},
		"limit":         {"1", "0", "-1", "abc", "", "%2B5", "+5", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1_0", "0x10", "1.5"},
	}
	long := "a" + strings.Repeat("b", 62)
	vals["labelSelector"] = append(vals["labelSelector"], long, long+"c", "x%3D"+long, "x%3D"+long+"c", strings.Repeat("a.", 126)+"a/"+"z", strings.Repeat("a.", 127)+"a/"+"z")
	vals["timeoutSeconds"] = vals["limit"]
	other := []string{"true", "", "x", "%", "1"}
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	seen := map[string]bool{}
	emit := func(m, target string) {
		if seen[m+target] {
			return
		}
		seen[m+target] = true
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		req := &http.Request{Method: m, URL: u}
		ri, err := f.NewRequestInfo(req)
		o := out{In: m + " " + target, Path: u.Path}
		if err != nil {
			o.Error = true
		} else {
			o.RI = &RI{ri.IsResourceRequest, ri.Verb, ri.APIPrefix, ri.APIGroup, ri.APIVersion, ri.Namespace, ri.Resource, ri.Subresource, ri.Name, ri.Parts, ri.FieldSelector, ri.LabelSelector}
		}
		if strings.ContainsRune(u.Path, 0xFFFD) {
			return
		}
		enc.Encode(o)
	}
	for _, l := range vals["labelSelector"] {
		emit("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Ds&labelSelector="+l)
	}
	for _, l := range vals["fieldSelector"] {
		emit("GET", "/api/v1/namespaces/a/secrets?fieldSelector="+l)
		emit("DELETE", "/api/v1/namespaces/a/secrets?fieldSelector="+l)
	}
	for _, l := range vals["limit"] {
		emit("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Ds&limit="+l)
	}
	for _, l := range vals["watch"] {
		emit("GET", "/api/v1/secrets?watch="+l)
		emit("GET", "/api/v1/secrets?limit=x&watch="+l)
	}
	n := 0
	fmt.Sscan(os.Args[1], &n)
	for len(seen) < n {
		m := pick(r, methods)
		t := pick(r, starts)
		for k := r.Intn(7); k > 0; k-- {
			t += "/" + pick(r, segs)
		}
		if t == "" {
			t = "/"
		}
		if r.Intn(3) > 0 {
			sep := "?"
			for k := 1 + r.Intn(4); k > 0; k-- {
				key := pick(r, keys)
				v, ok := vals[key]
				if !ok {
					v = other
				}
				t += sep + key
				if r.Intn(8) > 0 {
					t += "=" + pick(r, v)
				}
				sep = "&"
			}
		}
		emit(m, t)
	}
}
