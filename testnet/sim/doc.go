// Package sim simulates whole nodes of the ledger from a seed. What runs is what ships:
// the driver, the shell, log and archive, intake, execution, state and codec, with real
// keys and transactions. What is simulated is what they stand on.
//
//	                           seed -> profile: Draw -> Config
//	                                          |
//	+-----------------------------------------v-----------------------------------+
//	| world: one virtual clock, one queue of events, one goroutine                 |
//	|                                                                              |
//	|  clients ---> node --------- wires (frames, as bytes) -------- node <- faults |
//	|                | driver     pure: events in, effects out                     |
//	|                | shell      lanes of package kernel: drawn durations         |
//	|                | journal    on a disk of sectors (faultfs)                   |
//	|                | archive    on a store in memory (memstore)                  |
//	|                '- adversary (if faulty): bends what is sent                  |
//	|                                                                              |
//	|  oracle: all that leaves the nodes, and what their disks would give           |
//	+-----------------------------------------v-----------------------------------+
//	                                          |
//	                                        Report
//
// The same seed gives the same run, event by event; each part draws from a stream of chance
// of its own.
//
// # What is simulated
//
// A program takes the events that wait one by one or several together. Its effects are
// carried out one by one, and it may die between any two. A crash leaves of its disk what
// faultfs allows (any sector that was not synced old, new or torn, names in any order) and
// of its archive any prefix of what was written since the last sync; a batch of a lane that
// was running may have got to any point. Then the shell opens what is left, as after any
// restart.
//
// Frames travel as bytes on a stream for each class and direction, are decoded by
// driver.Read when they arrive, and are lost with the connection. Questions are answered
// out of the shell of the source; a transaction that is handed over is submitted there. A
// source that is gone is noticed within half a second.
//
// A key may run twice, on two nodes: the transport's part, to let one of them in, is that of
// twins.go. Adversaries bend what the core says (package adversary), flood (flood.go), or
// are bad sources (sources.go); what they propose beside is carried out on real states.
//
// Until GST things go wrong, as the profile has it; at most f validators are faulty at a
// time, wiped and rotten disks counted until their places are taken anew, and those that
// have said that they had synced what they had not for good. At GST the network settles
// and everybody comes back. Clients go on for a while; then all that they wanted must be
// committed and everybody honest must be where the first is, within a bound.
//
// # What is checked
//
//	S1   no two blocks are certified for one sequence number
//	S2   everybody has the same blocks, transactions and states, without gaps
//	S3   no honest key signs two digests for one place, across crashes, nor does one whose
//	     disk was put back by an old one where others have committed something since; who
//	     has lost its log votes in no epoch before one that a renewal made since begins
//	S4   a crash at any time leaves a log and an archive that bind the node to all that has
//	     left it, account for each COMMIT that has, and have the block that it was for
//	     (looked at with each crash, for the first message after each cut of the log, and
//	     for one in 48 of the others); who says CHECKPOINT has the block durably, who votes
//	     for a block its body; a log that no disk has damaged opens, one that has lost a
//	     record of what has left does not, and it gives, with the archive, all blocks that
//	     its votes stand on
//	S5   nothing else is prepared after a block was committed; no COMMIT unprepared
//	S6   each transaction is executed once, signed by its owner, under a nonce that was not
//	     used; what was acknowledged can be read, is where it was said to be, for good
//	S7   blocks name their epoch and their committee; no CHECKPOINT of what is not committed;
//	     who votes in an epoch goes on to the next one when a quorum has stored the last
//	     block, or has been waited for
//	S9   nobody honest is accused, or called a liar; no fork is shown that there is not.
//	     After a fork (profile fork) evidence names more validators than may be faulty,
//	     and everybody honest tells of it and votes no more
//	S10  what a node holds, in bytes and in messages, is bounded by committee, window and
//	     configuration, whatever it is flooded with; and it convicts another once
//	S11  what is shown has the state that its header says, fetched or not
//	S12  no block is of a time that is too far ahead
//	L1   what clients want is executed in time, what a leader leaves out too
//	L2   no more than f+1 good leaders in a row are given up, besides the view that fails
//	     while the network settles
//	L3   who lags, or has lost everything, catches up and votes again; who has voted all the
//	     while has what others have within two seconds
//	L5   a slow leader does not stay
//	L6   timeouts shrink back: a leader's death in calm weather is dealt with within a
//	     second; and what was found out about the network counts in the next epoch
//	key  of two nodes with one key one votes, and who is told that it is in use does not
//	form honest nodes send only what can be read
//	halt honest nodes do not give up, but for a disk that fails, and disown no log that is
//	     whole
//	answer nobody is refused for a good transaction; each ticket is answered, once
//	panic  the program does not fail
//
// "simulator" is a fault of the simulation, or a driver whose deadline does not move.
//
// # Exploring and replaying
//
//	go run ./testnet/sim/cmd/sim -runs 10000
//	go run ./testnet/sim/cmd/sim -seed 212 -profile crash -v
//
// A line of a trace is the time in milliseconds, the node, what happened and what it is
// about: "takes" is an event of the driver, "does" an effect.
package sim
