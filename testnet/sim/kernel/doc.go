// Package kernel is what a simulator of a distributed program stands on: virtual
// time, one queue of events, chance, a network, and machines with clocks. It knows
// nothing of what is simulated.
//
//	          Scheduler: now, what happens next
//	         /         |              \
//	  Network[T]     Host            Clock
//	delay, loss,   runs, stops,    monotonic, wall;
//	bandwidth,     pauses; what    runs fast or slow,
//	cuts           was put off     jumps; alarms
//
// Disks are file systems of internal/durable/faultfs, of which a crash makes images. A
// [Lane] carries out jobs beside a program, as those of internal/lane do in earnest.
//
// A run is a function of its seed: everything happens on one goroutine, in the order
// of the queue, and what is due at the same time happens in the order in which it was
// asked for. Each part draws from a stream of chance of its own (see [Stream]), so that
// what one part draws does not change what the others see. Nothing here may be used
// from two goroutines at once; two runs share nothing.
package kernel
