package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// run starts a program that knows nothing of the bed, writes its process id to a
// file, and kills it when the bed's own standard input ends, so that a test that
// dies leaves nothing behind: `bed run PID-FILE PROGRAM ARGUMENT...`. SIGTERM is
// handed on, and the program's exit code is the bed's.
func run(arguments []string) int {
	if len(arguments) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bed run PID-FILE PROGRAM ARGUMENT...")
		return 2
	}
	command := exec.Command(arguments[1], arguments[2:]...)
	command.Stdout = os.Stdout
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for received := range signals {
			_ = command.Process.Signal(received)
		}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = command.Process.Kill()
	}()
	// Written whole or not at all: the test waits for the file.
	pid := []byte(strconv.Itoa(command.Process.Pid))
	if err := os.WriteFile(arguments[0]+".new", pid, 0o600); err == nil {
		err = os.Rename(arguments[0]+".new", arguments[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, "run:", err)
		}
	}
	err := command.Wait()
	if ended, ok := err.(*exec.ExitError); ok {
		return ended.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		return 1
	}
	return 0
}
