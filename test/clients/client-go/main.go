// client-go does, in the namespace that it is told, what controllers and operators do, and prints what it saw.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const longest = time.Minute

// client is what an exercise works with.
type client struct {
	kubernetes.Interface
	config    *rest.Config
	namespace string
}

var exercises = map[string]func(context.Context, client) error{
	"informer":            informer,
	"protobuf":            protobuf,
	"leader-election":     leaderElection,
	"exec-websocket":      execWebSocket,
	"exec-spdy":           execSPDY,
	"exec-fallback":       execFallback,
	"exec-terminal":       execTerminal,
	"exec-cancelled":      execCancelled,
	"logs":                logs,
	"port-forward-tunnel": portForwardTunnel,
	"port-forward-spdy":   portForwardSPDY,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "client-go:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 || exercises[args[0]] == nil {
		return fmt.Errorf("usage: client-go EXERCISE KUBECONFIG NAMESPACE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	c, err := newClient(args[1], args[2], func(*rest.Config) {})
	if err != nil {
		return err
	}
	return exercises[args[0]](ctx, c)
}

func newClient(kubeconfig, namespace string, change func(*rest.Config)) (client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return client{}, err
	}
	change(config)
	set, err := kubernetes.NewForConfig(config)
	return client{Interface: set, config: config, namespace: namespace}, err
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": "b"}}
}

// comeAndGo makes a config map, changes it and deletes it.
func comeAndGo(ctx context.Context, c client, name string) error {
	maps := c.CoreV1().ConfigMaps(c.namespace)
	made, err := maps.Create(ctx, configMap(name), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Data["a"] = "c"
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return maps.Delete(ctx, name, metav1.DeleteOptions{})
}
