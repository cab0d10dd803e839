//go:build unix

package main

import "syscall"

// snapshotSignal asks a program with a flight recorder for a snapshot; it is
// sent only to one that said so.
const snapshotSignal = "SIGUSR1"

func (c *child) detach() { c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// interrupt interrupts the command and what it started, as a terminal does.
func (c *child) interrupt() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGINT) } // it may have ended

func (c *child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) } // likewise

// snapshot asks a process for a snapshot and tells whether it could be asked.
// It must be of the command's own group: what a file says of a process may hold
// in another container.
func (c *child) snapshot(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return pid > 0 && err == nil && group == c.cmd.Process.Pid && syscall.Kill(pid, syscall.SIGUSR1) == nil
}
