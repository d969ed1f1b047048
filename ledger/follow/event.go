package follow

import (
	"time"

	"github.com/decube/decube/ledger/pbft"
)

// AskID numbers the questions that a Follower asks, from 1 on. What comes late, under a
// number that is not open any more, is ignored.
type AskID uint64

// JobID numbers what a Follower has others do, in the same way.
type JobID uint64

// Place is where a committed block stands and which one it is.
type Place struct {
	Seq    uint64
	Digest pbft.Digest
}

// placeOf returns the place that a decision proves.
func placeOf(d *pbft.Decision) Place { return Place{d.Header.Seq, d.Cert.Digest} }

// Block is a committed block whose certificate and transaction root were verified.
type Block interface {
	// Decision returns the header with its certificate, which nobody changes.
	Decision() *pbft.Decision
}

// Standing is what a source has proved of itself, and what it claims beside.
type Standing struct {
	// Tip is the last block that the source has, with a certificate that was verified.
	Tip *pbft.Decision
	// Checkpoint is the block whose state the source serves, verified likewise, or nil.
	Checkpoint *pbft.Decision
	// Earliest is the first block whose transactions the source says that it has.
	Earliest uint64
}

// Fork is two certified blocks that cannot both be of one chain: the second is at the
// sequence number of the first, or follows it and names another parent.
type Fork struct{ First, Second *pbft.Decision }

// Event is what happens to a Follower: a closed set. One Step takes one event.
type Event interface{ event() }

type (
	// Sources lists the peers that can be asked from now on, preferred ones first. Those
	// that are not in it are gone, and what they were asked ends.
	Sources struct{ Names []string }
	// Item is the next item of the answer to a question. The follower owns the blob.
	Item struct {
		Ask  AskID
		Blob []byte
	}
	// Ended says that no more items come. It is not sent for what was stopped.
	Ended struct {
		Ask AskID
		Why End
	}
	// HeadChecked answers CheckHead.
	HeadChecked struct {
		Job      JobID
		Standing Standing
		// Lie says that a signature or the form was wrong: the source knew better.
		Lie bool
		// Fork is not nil when the head contradicts a block that is stored.
		Fork *Fork
	}
	// BlocksChecked answers CheckBlocks.
	BlocksChecked struct {
		Job JobID
		// Blocks are those that were found good, from the first on, without a gap.
		Blocks []Block
		// Lie says that the one after them was not.
		Lie bool
		// Fork is not nil when that one is certified and follows another block than ours.
		Fork *Fork
	}
	// Advanced says which block is the last that is applied here, by whichever way, and
	// how many bytes the block after it may have as peers send it.
	Advanced struct {
		Head         Place
		LargestBlock int // 0: as before
	}
	// Applied answers Apply. Its blocks are executed; Head is the last block here.
	Applied struct {
		Job  JobID
		Head Place
	}
	// Building answers Build and AddChunk: the state is built up to the path Next, and
	// complete unless More is set.
	Building struct {
		Job  JobID
		Next [32]byte
		More bool
	}
	// ChunkRefused answers AddChunk: the chunk is not of the state that is certified.
	ChunkRefused struct{ Job JobID }
	// Installed answers Install: the state is that after Head now.
	Installed struct {
		Job  JobID
		Head Place
	}
	// Failed answers a job that this peer could not do. The sources are not to blame.
	Failed struct{ Job JobID }
	// Role says whether this peer votes. One that does gets blocks by consensus, and
	// from sources only while that does not get it further.
	Role struct{ Voting bool }
	// Behind says that others seem to be beyond the head, up to Seq. It is a reason to ask
	// for heads, which have to prove it.
	Behind struct{ Seq uint64 }
)

func (Sources) event()       {}
func (Item) event()          {}
func (Ended) event()         {}
func (HeadChecked) event()   {}
func (BlocksChecked) event() {}
func (Advanced) event()      {}
func (Applied) event()       {}
func (Building) event()      {}
func (ChunkRefused) event()  {}
func (Installed) event()     {}
func (Failed) event()        {}
func (Role) event()          {}
func (Behind) event()        {}

// End is why an answer ended.
type End uint8

const (
	// Complete says that the source has sent all that was asked for, or all it has.
	Complete End = iota
	// Full says that the bytes that were asked for are reached.
	Full
	// Oversize says that the next item was larger than a block may be.
	Oversize
	// Absent says that the source does not have what was asked for, or not any more.
	Absent
	// Broken says that the source was out of reach, too busy, or stood still.
	Broken
	// Malformed says that the source broke the protocol.
	Malformed
)

// Action is what a Step asks for: a closed set. Actions are carried out in their order.
type Action interface{ action() }

type (
	// Ask asks a source. Its items and its end come back as events.
	Ask struct {
		Ask     AskID
		Source  string
		Request Request
	}
	// Stop ends a question: nothing of it counts any more.
	Stop struct{ Ask AskID }
	// Credit lets a stream go on by so many bytes.
	Credit struct {
		Ask   AskID
		Bytes int
	}
	// CheckHead has a head decoded and verified.
	CheckHead struct {
		Job  JobID
		Blob []byte
	}
	// CheckBlocks has blocks decoded and verified that follow After, one after another:
	// the form, the certificate, the parent, the transaction root.
	CheckBlocks struct {
		Job   JobID
		After Place
		Blobs [][]byte
	}
	// Apply has verified blocks executed and stored. They follow each other and, where
	// consensus has not brought some of them already, the head.
	Apply struct {
		Job    JobID
		Blocks []Block
	}
	// Build begins, or resumes, the state after a certified checkpoint beside the
	// present one. One to another checkpoint is given up.
	Build struct {
		Job        JobID
		Checkpoint *pbft.Decision
	}
	// AddChunk adds a chunk, once it is verified against the checkpoint.
	AddChunk struct {
		Job  JobID
		Blob []byte
	}
	// Install makes the state that was built the head.
	Install struct{ Job JobID }
	// Alarm says that the ledger has forked. Nothing that is stored is replaced.
	Alarm struct{ Fork Fork }
	// Note tells that a source was given up for a while, and why.
	Note struct {
		Source string
		Lied   bool
		For    time.Duration
	}
)

func (Ask) action()         {}
func (Stop) action()        {}
func (Credit) action()      {}
func (CheckHead) action()   {}
func (CheckBlocks) action() {}
func (Apply) action()       {}
func (Build) action()       {}
func (AddChunk) action()    {}
func (Install) action()     {}
func (Alarm) action()       {}
func (Note) action()        {}

// Request is a question to a source: a closed set.
type Request interface{ request() }

type (
	// Head asks for the last block's header with its certificate, and for how the
	// validators that signed it follow from those that are trusted here. The answer is
	// one item of at most MaxHead bytes.
	Head struct{}
	// Blocks asks for blocks, each an item. The answer ends after Count of them, or with
	// Full after the item with which Bytes are reached. A larger item than Largest is
	// not to be read: the answer ends with Oversize.
	Blocks struct {
		From           uint64
		Count          int
		Bytes, Largest int
	}
	// Stream asks for blocks, and for new ones as they are committed. Reading pauses
	// while the items that have come are Bytes or more, and Credit lets it go on.
	Stream struct {
		From           uint64
		Bytes, Largest int
	}
	// Chunk asks for a part of the state at a checkpoint: one item of at most MaxChunk
	// bytes.
	Chunk struct {
		Seq   uint64
		Start [32]byte
	}
)

func (Head) request()   {}
func (Blocks) request() {}
func (Stream) request() {}
func (Chunk) request()  {}
