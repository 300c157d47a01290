// Command bed is the cluster tier's test bed: kube-apiserver, etcd,
// kube-controller-manager, kube-scheduler, kwok and kubectl in one program,
// chosen by the first argument, so that a real control plane is one build and one
// file.
package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bed kube-apiserver|kube-controller-manager|kube-scheduler|kubectl|kwok|etcd|run ...")
		os.Exit(2)
	}
	// A test that dies can't end what it started; the end of its pipe does.
	// (`run` reads the pipe itself, for the program that it starts.)
	if os.Getenv("BED_ENDS_WITH_STDIN") != "" && os.Args[1] != "run" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
	}
	name := os.Args[1]
	os.Args = os.Args[1:]
	switch name {
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		command := cmd.NewDefaultKubectlCommand()
		if err := cli.RunNoErrOutput(command); err != nil {
			util.CheckErr(err)
		}
	case "kwok":
		os.Exit(kwok())
	case "run":
		os.Exit(run(os.Args[1:]))
	case "etcd":
		os.Exit(etcd(os.Args[1:]))
	default:
		fmt.Fprintf(os.Stderr, "bed has no program %q\n", name)
		os.Exit(2)
	}
}

// etcd serves clients at a URL from a folder until it is told to end:
// `bed etcd FOLDER CLIENT-URL PEER-URL`.
func etcd(arguments []string) int {
	if len(arguments) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bed etcd FOLDER CLIENT-URL PEER-URL")
		return 2
	}
	config := embed.NewConfig()
	config.Dir = arguments[0]
	config.LogLevel = "error"
	// A test's data needn't survive the machine.
	config.UnsafeNoFsync = true
	client, err := url.Parse(arguments[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 2
	}
	peer, err := url.Parse(arguments[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 2
	}
	config.ListenClientUrls = []url.URL{*client}
	config.AdvertiseClientUrls = []url.URL{*client}
	config.ListenPeerUrls = []url.URL{*peer}
	config.AdvertisePeerUrls = []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	select {
	case <-signals:
		server.Close()
		return 0
	case err := <-server.Err():
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 1
	}
}
