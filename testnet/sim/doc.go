// Package sim simulates the consensus core of the ledger from a seed: replicas that
// run [github.com/decube/decube/ledger/pbft] itself, with a network, clocks, disks
// and clients that go wrong, and an oracle that shares no logic with the core.
//
//	            seed
//	              |
//	     profile: Draw -> Config
//	              |
//	+-------------v------------------------------------------------+
//	| world: one virtual clock, one queue of events, one goroutine |
//	|                                                              |
//	|  clients --> node --- network --- node <-- faults            |
//	|               |  driver: persist, send, deliver, the rest    |
//	|               |-- core (ledger/pbft)                         |
//	|               |-- disk: log, store; synced or not            |
//	|               '-- adversary (if faulty): bends what is sent  |
//	|                                                              |
//	|  oracle: all signatures that left, all commits, all disks    |
//	+-------------v------------------------------------------------+
//	              |
//	           Report
//
// Everything follows from [Config], and a Config from a profile and a seed: the same
// seed gives the same run, event by event. Each part draws from a stream of chance
// of its own.
//
// # Course of a run
//
// Until GST things go wrong, as the profile has it: messages are lost, doubled, late;
// links are cut in all shapes; nodes crash at any boundary of the driver's duty, are
// paused, lose their disks, get old ones back; at most f of a committee's replicas
// are faulty at a time, wiped and lying disks counted. At GST the network settles and
// everybody comes back. Clients go on for a while; then all that was accepted must
// be executed, and everybody honest must be where the first is, within a bound.
//
// # What is checked
//
// A signature counts from the moment that it leaves a replica, or is found on a disk
// or in a store: whoever puts certificates together could have it.
//
//	S1   no two blocks are certified for one sequence number
//	S2   everybody commits the same blocks, without gaps, none older than the one
//	     before, and has the state they say
//	S3   no honest key signs two digests for one place, across crashes
//	S4   nothing is sent whose record a crash could take
//	S5   nothing else is prepared after a block was committed; no COMMIT unprepared
//	S6   each request is executed once
//	S7   an epoch begins from a certified checkpoint, with the right committee, which
//	     its blocks name
//	S9   evidence proves what it says and never names an honest replica; after a
//	     fork (profile fork) it names more replicas than a committee withstands
//	S10  what a replica holds depends on committee and window only, and it convicts
//	     another once
//	S11  only certified states are installed
//	L1   accepted requests are executed in time, censored clients' too
//	L2   no more than f+1 good leaders in a row are given up, besides the view that
//	     fails while the network settles
//	L3   who lags, or has lost everything, catches up and votes again
//	L5   a slow leader does not stay
//	L6   timeouts shrink back: a leader's death in calm weather is dealt with at once;
//	     and what was found out about the network counts in the next epoch
//	form honest replicas send only what verifies
//	halt honest replicas do not give up
//
// S8, receipts, is checked where receipts are made; L4, going on after a crash at any
// place, is what the profile crash does. "simulator" is a fault of the simulation.
//
// # Exploring, replaying, reading a trace
//
//	go run ./testnet/sim/cmd/sim -runs 100000
//	go run ./testnet/sim/cmd/sim -seed 212 -profile crash -v
//
// A bad run prints its last events, its seed, and the command that replays it. A
// line is the time in milliseconds, the node, what happened, the other node if there
// is one, and what it is about:
//
//	1165.935 r1   writes entered: NEW-VIEW 1/1 of 0 1 2, 11:20193396
//	1171.641 r1   says NEW-VIEW 1/1 of 0 1 2, 11:20193396
//	1174.639 r3   hears from r1 PRE-PREPARE 1/1/11:20193396
//
// r1 is a node, which stays one identity; "by 1" is a replica, a place in the
// committee of an epoch. Votes are named epoch/view/sequence:digest, blocks
// epoch/sequence:digest. "writes" is before the fsync, "says" (to all) and "tells"
// are after it, so that a crash between the two shows as "crashes before fsync". Read
// from the end: the violation names a rule and a sequence number; follow that number
// and the view changes back to where two nodes part. "hears from" can be left out at
// first.
//
// # Planted bugs
//
// That the oracle finds bugs is shown by planting them: [Bugs] in the simulator's own
// code around the core, and those of package mutants in copies of the ledger's source
// (make mutants). Each must be found within a number of seeds, by a rule that fits.
package sim
