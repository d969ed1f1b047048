package pbft

import "github.com/decube/decube/ledger/quorum"

// Event is what happens to a replica: a closed set. One Step takes one event.
type Event interface{ event() }

// Tick is the passing of one unit of time, whose length the driver chooses.
type Tick struct {
	// Oldest is for how many ticks the longest waiting valid request has been
	// waiting at this replica; 0 when none is waiting.
	Oldest uint64
	// Waiting is how many requests are waiting: with what was committed meanwhile, it
	// is what a leader could have committed.
	Waiting uint64
}

// Receive is the arrival of a message.
type Receive struct{ Message Verified }

// Built answers a Build: the block that this leader proposes. Its body and its
// execution are the driver's and at hand.
type Built struct {
	View   uint64
	Header Header
}

// Checked answers a Check: the block's body is here, was executed on top of its
// parent, and is what its header says, or is not (then the leader is faulty).
type Checked struct {
	// View is the Check's. A verdict counts in the view it was asked for in and in no
	// other: what may be refused in one view may be vouched for by a quorum in the
	// next, and must then not be held against what the quorum says.
	View uint64
	// Vouched is the Check's. That a block is invalid is reason to halt only for who was
	// told that a quorum has vouched for it: a block may be committed while it is being
	// looked at as one that nobody has vouched for.
	Vouched bool
	Digest  Digest
	Valid   bool
}

// Stored says that the chain up to a sequence number and the state after it are
// durable, outside the log of records.
type Stored struct{ Seq uint64 }

// Synced says that the driver has fetched, verified and, unless it is Volatile, durably
// stored the chain (or the state) up to a decision that this replica did not take itself.
type Synced struct {
	Decision Verified
	// Volatile says that it is not durable yet: Stored will say when it is.
	Volatile bool
}

func (Tick) event()    {}
func (Receive) event() {}
func (Built) event()   {}
func (Checked) event() {}
func (Stored) event()  {}
func (Synced) event()  {}

// Output is what the driver must do after a step, in the order of the fields:
// make the records durable, then send, then the rest. Outputs of several steps
// may be joined, field by field, and share one fsync.
type Output struct {
	// Persist are records to append to the log, durable before Send is acted on.
	Persist []Record
	// Send are messages for other replicas.
	Send []Envelope
	// Deliver are committed blocks, in order and without gaps.
	Deliver []*Decision
	// Check are blocks to look at, each after its parent. The answer is Checked.
	Check []Check
	// Build asks this leader for the next block. There is one request at a time;
	// a later one, or a view change, takes its place.
	Build *Build
	// Stable is a new certified checkpoint. Records below it are not needed.
	Stable *Certificate
	// Sync asks the driver to fetch what others have committed already. It is
	// repeated while it is of use.
	Sync *Sync
	// Forward asks the driver to send the longest waiting requests to everybody:
	// the leader has not taken them up.
	Forward bool
	// Evidence is proof of misbehaviour that was just found.
	Evidence []Evidence
	// Notes tell observers what happened. They ask for nothing.
	Notes []Note
	// Halt, when not nil, says why this replica must not go on.
	Halt error
}

// Join adds a later step's output, so that both share an fsync.
func (o *Output) Join(next *Output) {
	o.Persist = append(o.Persist, next.Persist...)
	o.Send = append(o.Send, next.Send...)
	o.Deliver = append(o.Deliver, next.Deliver...)
	o.Check = append(o.Check, next.Check...)
	o.Evidence = append(o.Evidence, next.Evidence...)
	o.Notes = append(o.Notes, next.Notes...)
	o.Forward = o.Forward || next.Forward
	if next.Build != nil {
		o.Build = next.Build
	}
	if next.Stable != nil {
		o.Stable = next.Stable
	}
	if next.Sync != nil {
		o.Sync = next.Sync
	}
	if o.Halt == nil {
		o.Halt = next.Halt
	}
}

// Envelope is a message with its addressee.
type Envelope struct {
	// To is the addressee; All means every other replica.
	To      quorum.Replica
	All     bool
	Message Message
}

// Check is a block to look at. It is asked for in each view anew: the replica
// remembers no verdicts. One that was answered Valid must stay at hand, body and
// all, until no slot of the present view names the block ([Replica.Slots]).
type Check struct {
	View   uint64
	Header Header
	// Vouched is set for blocks that a quorum has accepted in an earlier view:
	// whether their time is plausible is not asked again.
	Vouched bool
}

// Build asks for a block.
type Build struct {
	View   uint64
	Seq    uint64
	Parent Digest
}

// Sync says what is known to be committed by others.
type Sync struct {
	// Seq is how far others say they are. It is their word.
	Seq uint64
	// Certified is the highest certificate seen, of a commit or a checkpoint; its
	// Seq is 0 when there is none above this replica's own.
	Certified Certificate
}

// Note is something worth telling observers.
type Note struct {
	Kind NoteKind
	View uint64
	Seq  uint64
}

// NoteKind is a kind of note.
type NoteKind uint8

const (
	// NoteAccepted says: this replica has voted PREPARE.
	NoteAccepted NoteKind = iota + 1
	// NotePrepared says: this replica holds a prepared certificate.
	NotePrepared
	// NoteViewChangeStarted says: this replica wants View.
	NoteViewChangeStarted
	// NoteViewEntered says: this replica works in View.
	NoteViewEntered
	// NoteSlow says: the leader did not make the floor of throughput.
	NoteSlow
	// NoteTimeout says: no progress in time.
	NoteTimeout
	// NoteCensored says: a request waited longer than the bound.
	NoteCensored
	// NoteBadLeader says: the leader proposed something invalid.
	NoteBadLeader
)

// Record is an entry of the durable log: a closed set. New goes on from them, see
// Resume.
type Record interface{ record() }

// AcceptedRecord is written before a PREPARE or a proposal leaves. The driver
// makes the block's body durable with it.
type AcceptedRecord struct {
	View   uint64
	Header Header
}

// PreparedRecord is written before a COMMIT leaves.
type PreparedRecord struct{ Lock Lock }

// ChangeRecord is written before a VIEW-CHANGE leaves.
type ChangeRecord struct{ Change *ViewChange }

// EnteredRecord is written before anything is sent in a new view.
type EnteredRecord struct{ NewView *NewView }

// DecidedRecord is written when a block is committed. A lost one is found again, and
// nothing that is sent depends on it but a COMMIT of this replica's for a block above,
// which says that it has prepared all below or committed them.
type DecidedRecord struct{ Decision *Decision }

func (AcceptedRecord) record() {}
func (PreparedRecord) record() {}
func (ChangeRecord) record()   {}
func (EnteredRecord) record()  {}
func (DecidedRecord) record()  {}
