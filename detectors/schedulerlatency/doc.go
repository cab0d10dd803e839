// Package schedulerlatency finds goroutines that could run and do not, and says who keeps them from running.
//
// # What it looks for
//
// saturated: goroutines that run for 10 ms and longer without a wait have all
// processors, and others, each with a little to do, wait until the scheduler
// takes one away: a background job that starves requests. stop-the-world: the
// program itself calls what stops all of it (runtime.GC, runtime.ReadMemStats,
// the stacks of all goroutines), often or for long. gc-assist: the program
// allocates faster than the collector marks, so that goroutines which allocate
// have to mark in its place.
//
// # How it decides
//
// It follows, over all processors, the running time of each goroutine from wait
// to wait (a burst), and how many others had just become ready and did not run
// meanwhile. saturated wants both sides: bursts beyond the scheduler's slice of
// 10 ms that had 60% of the processors while others waited, and at least ten
// bursts of 2 ms or less that waited longer than they then ran, all processors
// being busy. A goroutine that a long-running one woke, or that hands over to
// such, is a stage of the same work and no victim; nor is a ticker. That all
// processors are busy with equal work is no defect, and nothing is told. What
// the load would be without the long work decides whether it is at fault or
// the machine is too small. Slices far beyond what the scheduler allows, and CPU samples
// that account for less than half of the running time, mean that the operating
// system had other things to run: that speaks against a defect of the program.
//
// stop-the-world counts the stops below a line of the program's own, never
// those of the collector on its own account; pauses longer than four times the
// median count as that long. gc-assist wants 12% of the running time and at
// least four collections; the size of the heap and its goal tell whether a
// memory limit is what forces them.
//
// # What it cannot see
//
// Since when data or a timer was due that nobody looked for because all
// processors were busy: half of that time is counted. Whether those that wait are in a hurry. Whether a thread that the trace shows
// as running had a processor of the machine, unless the trace has CPU samples.
// What came due during a stop of the world is seen only when it goes on, so its
// waiting is estimated at half of the stop. Allocations that caused no assist.
//
// # Repair
//
// Leave a processor free: bound long work to fewer goroutines than GOMAXPROCS.
// Ask runtime/metrics instead of stopping the world, and leave the collections
// to the collector. Allocate less, reuse buffers, or give the heap room with
// GOGC and GOMEMLIMIT.
package schedulerlatency
