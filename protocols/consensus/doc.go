// Package consensus carries messages between the validators of a ledger. It knows
// who the validators are and keeps streams to all of them open; what it carries is
// opaque.
//
// # Protocol
//
// A stream of /decube/consensus/1.0.0 carries the frames of one class one way.
// Each validator opens three streams to each other one and only writes to those,
// so that a vote never waits behind a body in a queue of this package. libp2p has
// authenticated the peer before a stream begins; a validator is its Ed25519 key,
// from which its peer ID follows. Numbers are varints in shortest form (package
// internal/wire), a frame is varint length | bytes.
//
// The opener begins with a frame:
//
//	hello = version (1 byte, 0x01) | class (1 byte) | boot (8 bytes) | network (32 bytes)
//
//	class 0  votes: frames of at most 64 KiB
//	class 1  proposals: frames of at most 10 MiB
//	class 2  bulk, such as transactions and bodies: frames of at most 10 MiB
//
// Boot is a random number that each start of a validator draws anew; network is
// the digest of the genesis. The other side answers with a frame:
//
//	reply = code (1 byte) | network of who replies (32 bytes), with code 2 only
//
//	code 0  welcome
//	code 1  another version is spoken here
//	code 2  another network is spoken of: one of the two has the wrong genesis
//	code 3  the opener is no validator here (any more, or yet)
//	code 4  another process with this key has taken the place, since this one was silent
//	code 5  too busy; come back later
//	code 6  what was sent is malformed
//	code 8  another process with this key has the place, and answers
//
// After the welcome the opener sends its frames, none of them empty. The other
// side may send another reply before it ends the stream, and of class 2 it sends
// at least once for each 128 KiB that it has read
//
//	taken = 0x07 | bytes of the stream read so far, the hello among them
//
// as a frame, so that the opener can keep what is on its way within a window: what
// the buffers of a connection hold, votes have to wait for. It may also send
//
//	probe = 0x09
//
// as a frame, to ask whether the opener's process is there, and it answers with an empty
// frame ahead of all that it has queued.
//
// A malformed frame ends its stream.
//
// # Places
//
// Package streams serves the streams that others open, and says who has a place, which
// memory it may hold and how long a hello and a reply may take. What is particular here:
//
//   - A peer is a validator by its key, and places are kept for validators, so many for each.
//     All others have a few, in which they are told that they are strangers.
//   - A stream is one request that goes on for as long as the validator does: there is nothing
//     to ask while nothing is voted on. A frame that has begun must come in time, and of the
//     streams of one class the last one counts.
//   - Nothing is ended because the process is about to: until then the others need its votes.
//
// # Sending
//
//	Send ──> queue per validator and class ──> writer ──> stream
//
// A queue is bounded in frames and in bytes. Its writer packs what is queued into
// as few writes as it can and writes at once when the queue is empty: it never
// waits for more. Nothing is repeated after a stream broke; who sends votes must
// be prepared to send them again. A validator that does not read costs its
// queues, and its streams are begun anew when they stand still for too long. While
// a validator is away, the newest frames for it are kept, and it is dialled for
// ever, with growing pauses that end at once when it dials itself.
//
// # Receiving
//
// Frames of one validator and class are handed to Options.Receive one after the
// other, and at most Limits.FrameRate of them in a second: who sends more waits. While
// it blocks, only that stream is not read from. When a validator is
// killed its last stream ends at once and Options.Lost is told.
//
// # One key, two processes
//
// A process is told from another with its key by its boot. Which process's streams a
// validator reads has the key's place there. When one more comes with the key, the
// validator probes the first: if that answers within Limits.KeyTimeout, the newcomer is
// refused, and otherwise it takes the place. So a copy of a validator's directory that
// is started elsewhere does not get in, and a validator that crashed does, although its
// former streams look as if they were alive.
//
// A process sends nothing until so many others have welcomed it that, with itself, they
// are a quorum. When more validators than may be faulty have refused it because of its
// key, it gives up, and Options.KeyInUse is told: at the word of one, a faulty validator
// could silence all others. Validators that have refused a process, and the process that
// was probed for it, are told by Options.Duplicate, once an hour.
package consensus
