// Package smallio finds places that read or write a little at a time, with a system call for each bit.
//
// # What it looks for
//
// syscall: one line writes to a file (or a pipe), or reads from one, again and
// again with nothing in between but the making of the next bit. network: the
// same on a connection, where each bit may also be a packet of its own, and a
// wake-up on the other side.
//
// # How it decides
//
// It follows the reads and writes of package os and net, goroutine by goroutine.
// A row is 16 of them or more, from lines of one function, no more than 200 µs
// apart. A wait for anything but room to write ends a row, and so does any other
// system call: after a wait there was nothing yet to put together, and what was
// synced, opened, or answered in between had to be out. A function is reported
// if it has 500 calls in rows, if these calls make up a tenth of the time of the
// rows and half a percent of the trace's, and if half of them are short: 2.5 µs
// for a file (4 kB take longer), 20 µs for a connection.
//
// For a small amount speaks that the standard library formats or encodes it
// (fmt, encoding, io.WriteString, a Flush after each). Against a defect speaks
// that a line might write to many connections in turn, as a broadcast does: no
// row is longer than the number of goroutines that wait for the network.
// Also, that writes had to wait for room, as large ones do; that a package for
// logging makes them, which writes lines one by one on purpose; that a test does it.
//
// What goes through a full bufio buffer, io.Copy, io.ReadAll, net.Buffers, ReadAt
// and WriteAt, and datagrams, is left alone.
//
// # What it cannot see
//
// How many bytes a call moves, and which file or connection it is for: it tells
// small by short, and one by the row. That somebody waits for each line.
//
// # Repair
//
// Put a bufio.Writer or bufio.Reader between, and flush once, at the end or before
// waiting for an answer. Or build the answer in a bytes.Buffer and write it at once.
package smallio
