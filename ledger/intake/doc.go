// Package intake decides which transactions get in, which are verified first, and
// which wait to be ordered. It is pure: a caller hands in instants, and every
// method changes what it is a method of and nothing else.
//
//	SUBMIT ---+                                     +--> Next: for a block
//	followers-+--> Gate --> signatures --> Pool ----+--> ToJudge, Oldest: is a leader censoring?
//	validators+                                     +--> Overdue: send again
//
// An instant is a time.Duration since some moment of the caller's choice, and must
// not run backwards. Nothing here is safe for concurrent use: who shares a Pool or a
// Gate between goroutines guards it. Nothing is durable: what waits is lost with the
// process, and its clients hand it in again.
//
// # The gate
//
// Work is paid for before it is done. A [Gate] has separate room for clients,
// followers and validators, and half of each of the first two is for owners whom the
// ledger has known for a day. Owners it has not known for so long are paid for by the
// network that they come from (a /24 of IPv4, a /48 of IPv6), which has [StrangerBytes]
// and [StrangerSignatures] for every [StrangerPeriod]. A network that handed in a bad
// signature is not heard for [BlockPeriod]. [Gate.Batch] chooses what is verified
// next, so that no class and no validator waits for the rest.
//
// [Tickets] are who waits for a transaction's outcome. They hold no room in a gate.
//
// # The pool
//
// A [Pool] holds verified transactions. Its room is divided into equal shares, in
// bytes, by origin: the validator that a transaction came through. What one origin
// passes on takes neither room nor turns from the others, and does not change which of
// another's transactions comes first:
//
//	origin 0  [t t t t t t t t|      a share of the room each
//	origin 1  [t              |  --> Next: in turn, by bytes, each in order of arrival
//	origin 2  [t t            |
//
// A transaction that came through several origins is in each one's queue and counts in
// each one's share: otherwise a faulty validator could catch others' transactions by
// being quicker and let them wait behind its own.
//
// There is one [Slot] for each owner and nonce, for only one transaction can use it.
// Who comes second is refused here, and may have come first elsewhere: when either is
// committed, the other one leaves.
//
// Blocks are filled by deficit round robin (M. Shreedhar and G. Varghese, SIGCOMM
// 1995): in each round an origin is given [Quantum] bytes to spend, what it cannot
// spend yet it keeps, and where the rounds begin moves on from block to block. A
// transaction whose slot is in a block in flight is not offered again. Which blocks are
// in flight is said anew by [Pool.InFlight], so nothing stays reserved for a block that
// is dead.
//
// # Suspicion
//
// [Pool.Oldest] is the evidence on which a replica gives a leader up, so it counts only
// what an honest leader would have ordered: the front of an origin's queue, from when it
// became the front, while it is valid and nothing in flight can make it invalid. The
// caller has fronts judged again and again on the present state, see [Pool.ToJudge].
// Junk is found out there and leaves, and the losers of a race leave with the block
// that decides it. What is behind a front comes to the front, since queues are
// in order of arrival: whatever other origins do, a valid transaction that is never
// proposed has nothing in front of it in the end, and ages.
package intake
