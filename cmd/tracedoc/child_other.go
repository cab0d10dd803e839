//go:build !unix

package main

// snapshotSignal is empty where there is no signal to ask a program with.
const snapshotSignal = ""

func (c *child) detach()           {}
func (c *child) interrupt()        { c.kill() } // there is nothing milder
func (c *child) kill()             { _ = c.cmd.Process.Kill() }
func (c *child) snapshot(int) bool { return false }
