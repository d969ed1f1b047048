package api

import (
	"encoding/json"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// MaxWait is how long a node waits for a transaction's block at most.
const MaxWait = 10 * time.Minute

// SubmitRequest hands one transaction to the ledger: an operation that the node
// signs with its own key, or a transaction that somebody has signed already.
type SubmitRequest struct {
	Operation   json.RawMessage `json:"operation,omitempty" doc:"An operation for the node to sign with its own key: an object of its type and its fields, as in the examples, which are of every type there is"`
	Transaction []byte          `json:"transaction,omitempty" doc:"The encoding of a signed transaction, base64" maxLength:"100000"`
}

// Submitted is what is known of a transaction that was handed in.
type Submitted struct {
	ID        tx.ID         `json:"id" doc:"The transaction's ID"`
	Owner     sig.PublicKey `json:"owner" doc:"Peer ID of who signed it"`
	Nonce     uint64        `json:"nonce" doc:"The owner's nonce that it uses"`
	Committed bool          `json:"committed" doc:"Whether it is in a block; if not, it may still get into one"`
	Block     uint64        `json:"block,omitempty" doc:"Sequence number of the block"`
	Index     int           `json:"index" doc:"Its place in the block, from 0"`
	Time      *time.Time    `json:"time,omitempty" doc:"Time of the block"`
	Seconds   float64       `json:"seconds" doc:"How long the node waited for the block"`
	// Transaction is set while Committed is not: whoever hands it in again has the node
	// wait for the same transaction.
	Transaction []byte `json:"transaction,omitempty" doc:"The encoding of the transaction, base64, while it is undecided: handed in again it is the same one, and is waited for"`
	Vote        *Vote  `json:"vote,omitempty" doc:"How the change stands that was voted for, where the operation is a committed vote: validator.add, validator.remove or params.set"`
}

// Vote is how a change stands that validators vote on.
type Vote struct {
	InEffect bool `json:"in_effect" doc:"Whether what the change asks for is so"`
	Votes    int  `json:"votes" doc:"Validators that have voted for exactly this change, 0 once it is in effect"`
	Needed   int  `json:"needed" doc:"How many it takes"`
	Missing  int  `json:"missing" doc:"How many more it takes"`
}

// OpenVote is a change that validators have voted for and that has not taken effect.
type OpenVote struct {
	Operation json.RawMessage `json:"operation" doc:"The change: an object of the operation's type and its fields"`
	Summary   string          `json:"summary" doc:"The change in words"`
	Voters    []sig.PublicKey `json:"voters" doc:"Peer IDs of the validators that have voted for exactly this change"`
	Needed    int             `json:"needed" doc:"How many it takes"`
	Missing   int             `json:"missing" doc:"How many more it takes"`
}

// Transaction is a committed transaction.
type Transaction struct {
	ID        tx.ID           `json:"id" doc:"The transaction's ID: the RFC 6962 leaf hash of its encoding"`
	Owner     sig.PublicKey   `json:"owner" doc:"Peer ID of who signed it"`
	Nonce     uint64          `json:"nonce" doc:"The owner's nonce that it uses"`
	Operation json.RawMessage `json:"operation" doc:"What was done: an object of the operation's type and its fields"`
	Summary   string          `json:"summary" doc:"The operation in one line"`
	Encoding  []byte          `json:"encoding" doc:"The signed transaction as it was ordered, base64"`
	Block     uint64          `json:"block" doc:"Sequence number of its block"`
	Index     int             `json:"index" doc:"Its place in the block, from 0"`
	Time      time.Time       `json:"time" doc:"Time of the block"`
}

// LedgerBlock is a committed block.
type LedgerBlock struct {
	Sequence        uint64        `json:"sequence" doc:"Sequence number; the first block has 1"`
	Epoch           uint64        `json:"epoch" doc:"Which committee ordered it"`
	View            uint64        `json:"view" doc:"View that it was committed in"`
	Digest          string        `json:"digest" doc:"Digest of the header, which names the block"`
	Parent          string        `json:"parent" doc:"Digest of the block before it"`
	Time            time.Time     `json:"time" doc:"When a quorum of validators agreed on it"`
	Count           int           `json:"count" doc:"Transactions"`
	Bytes           int           `json:"bytes" doc:"Bytes of their encodings"`
	TransactionRoot string        `json:"transaction_root" doc:"RFC 6962 root of the transactions"`
	StateRoot       string        `json:"state_root" doc:"Root of the state after them"`
	Validators      string        `json:"validators" doc:"Digest of the validators that ordered it"`
	NextValidators  string        `json:"next_validators,omitempty" doc:"Digest of the next epoch's validators, in the last block of an epoch"`
	Signers         []int         `json:"signers" doc:"Numbers of the epoch's replicas that signed the commit certificate"`
	Transactions    []Transaction `json:"transactions,omitempty" doc:"The transactions in order, where they were asked for"`
}

// LedgerWatch ends a stream of blocks.
type LedgerWatch struct {
	Blocks int64 `json:"blocks" doc:"Blocks that were sent"`
}

// Roles of a peer in the ledger.
const (
	RoleValidator  = "validator"
	RoleRecovering = "recovering"
	RoleCatchingUp = "catching-up"
	RoleFollower   = "follower"
	RoleHalted     = "halted"
)

// LedgerStatus is how the ledger is, as this node sees it.
type LedgerStatus struct {
	Network       string        `json:"network" doc:"The ledger's name"`
	Genesis       string        `json:"genesis" doc:"Genesis ID"`
	Role          string        `json:"role" doc:"What the node is to the ledger" enum:"validator,recovering,catching-up,follower,halted"`
	Halted        string        `json:"halted,omitempty" doc:"Why the node has halted"`
	Epoch         uint64        `json:"epoch" doc:"Which committee orders"`
	View          uint64        `json:"view" doc:"View of the epoch"`
	Changing      bool          `json:"changing,omitempty" doc:"Whether the leader is being replaced"`
	Leader        sig.PublicKey `json:"leader,omitzero" doc:"Peer ID of the leader, absent where that is not known"`
	Committed     uint64        `json:"committed" doc:"Sequence number of the last block"`
	Digest        string        `json:"digest" doc:"Digest of the last block"`
	StateRoot     string        `json:"state_root" doc:"Root of the state after it"`
	Time          time.Time     `json:"time" doc:"Its time"`
	Stable        uint64        `json:"stable" doc:"Sequence number of the last certified checkpoint"`
	Waiting       int           `json:"waiting" doc:"Transactions that wait for a block"`
	OldestSeconds float64       `json:"oldest_seconds" doc:"How long the oldest of them has waited"`
	Validators    int           `json:"validators" doc:"Validators of the epoch"`
	Quorum        int           `json:"quorum" doc:"How many of them it takes to commit"`
	Faulty        int           `json:"faulty" doc:"How many of them may fail in any way"`
	Problem       string        `json:"problem,omitempty" doc:"Why nothing is committed, or what is wrong with the peers: that they are of another ledger, or that two processes have one key"`
	Stuck         bool          `json:"stuck,omitempty" doc:"Whether the node commits nothing for that problem, as far as it can tell"`
	Evidence      []string      `json:"evidence,omitempty" doc:"Proved misbehaviour of validators"`
	Fork          *LedgerFork   `json:"fork,omitempty" doc:"Two chains that this node has seen; it does not vote any more"`
}

// LedgerFork is two blocks that exclude each other, each with a certificate.
type LedgerFork struct {
	First  *ForkedBlock    `json:"first,omitempty" doc:"The block of this node's chain, absent where that was not stored"`
	Second ForkedBlock     `json:"second" doc:"The other one: of the same sequence number, or behind another block than the first"`
	Guilty []sig.PublicKey `json:"guilty" doc:"Peer IDs of validators that evidence shows to have broken the protocol"`
}

// ForkedBlock is one of the two.
type ForkedBlock struct {
	Sequence uint64 `json:"sequence" doc:"Its sequence number"`
	Digest   string `json:"digest" doc:"Its digest"`
}

// Validator is a member of the committee.
type Validator struct {
	Replica   int           `json:"replica" doc:"Its number in the epoch"`
	Key       sig.PublicKey `json:"key" doc:"Its peer ID"`
	Name      string        `json:"name,omitempty" doc:"What the genesis calls it"`
	Self      bool          `json:"self,omitempty" doc:"Whether it is this node"`
	Leader    bool          `json:"leader,omitempty" doc:"Whether it is the leader"`
	Heard     *time.Time    `json:"heard,omitempty" doc:"When this node last heard of it; absent for never"`
	Committed uint64        `json:"committed" doc:"Sequence number of the last block that it said it has"`
}

// LedgerName is a name that somebody holds.
type LedgerName struct {
	Name    string        `json:"name" doc:"The name"`
	Owner   sig.PublicKey `json:"owner" doc:"Peer ID of who holds it"`
	Target  string        `json:"target" doc:"What it stands for"`
	Offered sig.PublicKey `json:"offered,omitzero" doc:"Peer ID of whom it is offered to, absent where that is nobody"`
	Records uint64        `json:"records" doc:"Records in its namespace, which go with it"`
	Block   uint64        `json:"block" doc:"Sequence number of the block under whose state root the proof is"`
	Proof   []byte        `json:"proof" doc:"Proof of the entry, base64; package internal/smt describes it"`
}

// Account is what the ledger knows of who signs transactions.
type Account struct {
	Key       sig.PublicKey `json:"key" doc:"Peer ID"`
	NextNonce uint64        `json:"next_nonce" doc:"The lowest nonce that its next transaction can use"`
}
