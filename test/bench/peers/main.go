// peers is the program that Postern is measured with: the stacks it is compared to, written with what Go offers for
// the purpose, the API server's stand-in behind all of them, and the load in front of them.
//
//	peers upstream        answers the paths of the benchmark, and passes everything else to a real API server
//	peers clusters        answers the agents of many clusters, and their watches
//	peers proxy           a reverse proxy: TLS in front, TLS behind
//	peers tunnel-gateway  the end of a reverse tunnel that clients connect to
//	peers tunnel-agent    the end of a reverse tunnel that dials out
//	peers load            puts load on any of them and says what it measured, as one line of JSON
package main

import (
	"fmt"
	"os"
)

var programs = map[string]func(args []string) error{
	"upstream":       runUpstream,
	"clusters":       runClusters,
	"proxy":          runProxy,
	"tunnel-gateway": runTunnelGateway,
	"tunnel-agent":   runTunnelAgent,
	"load":           runLoad,
}

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	run, known := programs[name]
	if !known {
		fmt.Fprintln(os.Stderr, "usage: peers upstream|proxy|tunnel-gateway|tunnel-agent|load [flags]")
		os.Exit(2)
	}
	if err := run(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "peers %s: %v\n", name, err)
		os.Exit(1)
	}
}
