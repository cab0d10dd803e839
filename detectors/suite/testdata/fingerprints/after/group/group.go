// Package group starts goroutines for others, as errgroup does.
package group

type Group struct{}

func (g *Group) Go(f func()) { go f() }
