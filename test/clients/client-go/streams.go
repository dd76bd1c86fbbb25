package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

const script = "cat; echo err >&2; exit 7"

func (c client) execURL(options corev1.PodExecOptions) *url.URL {
	options.Container = "c"
	return c.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.namespace).Name("talk").
		SubResource("exec").VersionedParams(&options, scheme.ParameterCodec).URL()
}

// speak runs a command that reads to the end of its input, and prints what became of it.
func speak(ctx context.Context, c client, executor func(*url.URL) (remotecommand.Executor, error)) error {
	location := c.execURL(corev1.PodExecOptions{
		Command: []string{"sh", "-c", script}, Stdin: true, Stdout: true, Stderr: true,
	})
	stream, err := executor(location)
	if err != nil {
		return err
	}
	var out, errOut bytes.Buffer
	input := strings.Repeat("a line of input\n", 20_000)
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: strings.NewReader(input), Stdout: &out, Stderr: &errOut,
	})
	var exit exec.CodeExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("no exit code: %w", err)
	}
	fmt.Println("exit code:", exit.Code, "output is input:", out.String() == input, "error output:", errOut.String())
	return nil
}

func (c client) webSocket(location *url.URL) (remotecommand.Executor, error) {
	return remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, location.String())
}

func (c client) spdy(location *url.URL) (remotecommand.Executor, error) {
	return remotecommand.NewSPDYExecutor(c.config, http.MethodPost, location)
}

func execWebSocket(ctx context.Context, c client) error { return speak(ctx, c, c.webSocket) }

func execSPDY(ctx context.Context, c client) error { return speak(ctx, c, c.spdy) }

// execFallback asks for what is refused over WebSocket, and goes on over SPDY as kubectl does.
func execFallback(ctx context.Context, c client) error {
	fellBack := false
	err := speak(ctx, c, func(location *url.URL) (remotecommand.Executor, error) {
		refused, err := remotecommand.NewWebSocketExecutorForProtocols(c.config, http.MethodGet, location.String(), "v3.channel.k8s.io")
		if err != nil {
			return nil, err
		}
		accepted, err := c.spdy(location)
		if err != nil {
			return nil, err
		}
		return remotecommand.NewFallbackExecutor(refused, accepted, func(err error) bool {
			fellBack = httpstream.IsUpgradeFailure(err)
			return fellBack
		})
	})
	fmt.Println("fell back:", fellBack)
	return err
}

// sizes hands out the sizes of a terminal, and then waits for the end.
type sizes struct {
	next []remotecommand.TerminalSize
	done <-chan struct{}
}

func (s *sizes) Next() *remotecommand.TerminalSize {
	if len(s.next) == 0 {
		<-s.done
		return nil
	}
	size := s.next[0]
	s.next = s.next[1:]
	return &size
}

func execTerminal(ctx context.Context, c client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	script := `until [ "$(stty size)" = "41 123" ]; do sleep 0.05; done; echo resized`
	stream, err := c.webSocket(c.execURL(corev1.PodExecOptions{
		Command: []string{"sh", "-c", script}, Stdin: true, Stdout: true, TTY: true,
	}))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	input, keepOpen := io.Pipe()
	defer keepOpen.Close()
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: input, Stdout: &out, Tty: true,
		TerminalSizeQueue: &sizes{
			next: []remotecommand.TerminalSize{{Width: 80, Height: 24}, {Width: 123, Height: 41}},
			done: ctx.Done(),
		},
	})
	fmt.Println(out.String(), err)
	return err
}

// execCancelled ends with its context, while the command runs.
func execCancelled(ctx context.Context, c client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.webSocket(c.execURL(corev1.PodExecOptions{
		Command: []string{"sh", "-c", "echo ready; sleep 600"}, Stdout: true,
	}))
	if err != nil {
		return err
	}
	// The first output comes from a command that runs.
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdout: writer(func(output []byte) (int, error) {
			fmt.Print(string(output))
			cancel()
			return len(output), nil
		}),
	})
	fmt.Println("cancelled:", errors.Is(err, context.Canceled))
	return nil
}

type writer func([]byte) (int, error)

func (w writer) Write(bytes []byte) (int, error) { return w(bytes) }

func logs(ctx context.Context, c client) error {
	stream, err := c.CoreV1().Pods(c.namespace).GetLogs("talk", &corev1.PodLogOptions{}).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	said, err := io.ReadAll(stream)
	fmt.Print(string(said))
	return err
}

func (c client) portForwardURL() *url.URL {
	return c.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.namespace).Name("web").
		SubResource("portforward").URL()
}

func portForwardTunnel(ctx context.Context, c client) error {
	dialer, err := portforward.NewSPDYOverWebsocketDialer(c.portForwardURL(), c.config)
	if err != nil {
		return err
	}
	return forward(ctx, dialer)
}

func portForwardSPDY(ctx context.Context, c client) error {
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	return forward(ctx, spdy.NewDialer(upgrader, client, http.MethodPost, c.portForwardURL()))
}

// forward asks the web server of the pod through a forwarded port, on a connection for each request.
func forward(ctx context.Context, dialer httpstream.Dialer) error {
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		return fmt.Errorf("it ended before it was ready: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		return err
	}
	for _, path := range []string{"/a", "/b", "/c"} {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", ports[0].Local, path))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return err
		}
		fmt.Println(answer.StatusCode, string(body))
	}
	close(stop)
	return <-ended
}
