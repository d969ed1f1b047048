// Package driver is the driver of the ledger: it owns every decision that the consensus
// core, package pbft, leaves open, and does nothing else. It has no goroutine, lock,
// clock, file or log: [Driver.Step] takes an event at an instant and returns effects,
// which package shell carries out. So what is simulated is what ships.
//
//	            events                                   effects
//	Arrived, Submitted, Item, ... --+              +--> Append, Store: log and archive
//	Durable, Archived, Stored ----------+--> Driver ---+--> CheckVotes, CheckTxs, Execute, ...: work
//	VotesChecked, Executed, ... ----+              +--> Send, Ask, Answer, Publish: what others see
//
// # Parts
//
//	inbox.go    frames wait to be verified, a share for each validator
//	voter.go    the core of one epoch, and what it asks for
//	plan.go     blocks in flight: what is checked, carried out, built
//	bodies.go   transactions of blocks in flight: who refers to them, who is asked for them
//	chain.go    the head; what is archived, durable, certified
//	stand.go    whether this peer may vote, and whether its disk knows of all that it signed
//	remind.go   what others have of what this replica has said, before it votes
//	footing.go  up to where the disk can give what is voted on, and what the log gives
//	market.go   transactions: admission, verification, the pool, passing on
//	sync.go     blocks and states from sources, for who follows or is behind
//	hand.go     a follower's clients' transactions, for peers that are closer
//	renew.go    taking a place anew whose log is lost
//	alarm.go    two certified blocks that exclude each other
//	marks.go    what leaves only when what it rests on is durable
//	footprint.go what all of it holds, in bytes, for who checks its bounds
//
// # Order
//
// Records of the core go to the log with a mark. Whatever was decided when a mark was the
// last one, and others can see (a message of the core, an answer, a published view, a
// block in the archive), is held until that mark is durable: [Driver.Step] returns it
// then and not before. The core itself counts its own vote at once; what follows from it
// is held all the same. Transactions, bodies and questions for them wait for nothing.
//
// # Bounds
//
// What others can make this peer hold is bounded in bytes, for each validator (frames
// that wait to be verified, votes of the next epoch) and in all (package intake, package
// body, package follow, and blocks that the archive has not got yet: beyond [MaxUnarchived],
// nothing is built, checked or applied from sources). [Driver.Footprint] counts it.
package driver
