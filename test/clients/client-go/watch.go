package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// informer fills its store from the events of a watch, without a list (WatchList), and follows from there.
func informer(ctx context.Context, c client) error {
	var watchLists, lists atomic.Int32
	c.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			query := request.URL.Query()
			switch {
			case request.Method != http.MethodGet:
			case query.Get("sendInitialEvents") == "true":
				watchLists.Add(1)
			case query.Get("watch") != "true":
				lists.Add(1)
			}
			return next.RoundTrip(request)
		})
	})
	set, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return err
	}
	c.Interface = set
	events := make(chan string, 100)
	factory := informers.NewSharedInformerFactoryWithOptions(set, 0, informers.WithNamespace(c.namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector("metadata.name", "informed").String()
		}))
	maps := factory.Core().V1().ConfigMaps().Informer()
	if _, err := maps.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { events <- "added" },
		UpdateFunc: func(_, now any) { events <- "updated to " + now.(*corev1.ConfigMap).Data["a"] },
		DeleteFunc: func(any) { events <- "deleted" },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), maps.HasSynced) {
		return errors.New("the informer did not fill its store")
	}
	if err := comeAndGo(ctx, c, "informed"); err != nil {
		return err
	}
	for seen := ""; seen != "deleted"; {
		select {
		case seen = <-events:
			fmt.Println(seen)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Println("filled by WatchList:", watchLists.Load() == 1 && lists.Load() == 0)
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// protobuf lists in pages and watches in the encoding that controllers use.
func protobuf(ctx context.Context, c client) error {
	c.config.AcceptContentTypes = runtime.ContentTypeProtobuf
	c.config.ContentType = runtime.ContentTypeProtobuf
	set, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return err
	}
	c.Interface = set
	maps := set.CoreV1().ConfigMaps(c.namespace)
	for _, name := range []string{"page-1", "page-2", "page-3"} {
		if _, err := maps.Create(ctx, configMap(name), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	options := metav1.ListOptions{Limit: 1}
	for {
		page, err := maps.List(ctx, options)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			fmt.Println(item.Name)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	selector := fields.OneTermEqualSelector("metadata.name", "watched-in-protobuf").String()
	watching, err := maps.Watch(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return err
	}
	defer watching.Stop()
	if err := comeAndGo(ctx, c, "watched-in-protobuf"); err != nil {
		return err
	}
	for range 3 {
		event, open := <-watching.ResultChan()
		if !open {
			return errors.New("the watch ended")
		}
		fmt.Println(event.Type, event.Object.(*corev1.ConfigMap).Data)
	}
	return nil
}

// leaderElection lets one candidate lead, and another one take over when it steps back.
func leaderElection(ctx context.Context, c client) error {
	first, stepBack := context.WithCancel(ctx)
	defer stepBack()
	led := make(chan string)
	stopped := make(chan string)
	candidate := func(ctx context.Context, name string) {
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: c.namespace, Name: "leader"},
				Client:     c.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: name},
			},
			LeaseDuration:   15 * time.Second,
			RenewDeadline:   10 * time.Second,
			RetryPeriod:     500 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { led <- name },
				OnStoppedLeading: func() { stopped <- name },
			},
		})
	}
	go candidate(first, "one")
	fmt.Println("leads:", <-led)
	second, end := context.WithCancel(ctx)
	go candidate(second, "two")
	stepBack()
	fmt.Println("stopped:", <-stopped)
	fmt.Println("leads:", <-led)
	end()
	fmt.Println("stopped:", <-stopped)
	return nil
}
