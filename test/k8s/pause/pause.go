// Command pause is the first process of each Pod in the cluster test: it holds
// the Pod's namespaces, reaps children, and ends when it is told to.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for reaped := true; reaped; {
			pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil) // no child left is no problem
			reaped = pid > 0
		}
	}
}
