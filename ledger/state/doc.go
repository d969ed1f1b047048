// Package state is what the ledger's transactions do: the rules of each operation,
// carried out on an authenticated map. It is deterministic and pure: the same
// transactions in the same order make the same root, whoever carries them out, and
// there is no input or output, no goroutine, no clock and no randomness here.
//
//	State --Begin--> Block --Apply, Apply, ...--> Finish --> State
//	  |                                              |
//	  map, root, queries, proofs               the next validators, when the set changes
//
// A [State] is an immutable value, so blocks that are executed ahead of their
// certificates are dropped by dropping their states. A block is valid only if
// every transaction in it applies: a leader leaves out those that do not, and a
// replica refuses a block that has one.
//
// # Rules
//
// Admission: an operation is carried out for who is admitted to it by the genesis
// document's rules, package admission, which the state has an entry of. Validators
// vote, leave and renew their places whether or not they are admitted to anything else.
//
// Nonces: of each owner, any nonce not used before is taken if it is one of the
// NonceWindow numbers from the owner's lowest unused nonce on. No transaction is
// carried out twice, whatever the order in which an owner's arrive.
//
// Snapshots: a registration belongs to a root and an owner; several owners may
// register one root, and the first is on record as such for as long as anybody has
// it registered. An owner registers a root again only to extend the promise to
// retain it, stating the same size and label. A registration is retired once the
// block's time has reached the end of the promise.
//
// Names: a name belongs to who claims it first, until somebody to whom that owner has
// offered it accepts it. It stands for a target, which its holder's next claim with one
// replaces, and a claim without leaves as it is. There is one offer of a name at a time;
// it stands until it is taken back, replaced or accepted, whatever the holder does with
// the name meanwhile. The records in its namespace go with it, and count for its holder:
// who would then hold more than the limits allow, or than the acceptance says, is
// refused. An offer counts for nobody.
//
// Records: an owner writes to the owner's own namespace and to those of the names
// that the owner holds. The ledger keeps no empty records: an empty value takes a
// record back.
//
// Validators and parameters: each validator has a vote on each subject, which is a
// key (that becomes or no longer is a validator's) or a parameter. A later vote of
// the same validator on the same subject takes the place of the earlier one; a vote
// for what is so already takes it back. A change takes effect with the vote that
// makes a quorum of the present validators for exactly this change. Votes do not
// expire. Two changes take effect without the others' votes: a validator takes its
// place anew with the same key, or leaves. Leaving is put to the vote when the
// committee would withstand fewer faults without the validator (when it is one of
// 3f+1 and more than one), and the last validator stays.
//
// To take its place anew changes nothing but the epoch: it is how a replica that has
// lost its log votes again, and how a validator gives another address. Each time
// costs the others an epoch, so a validator has MaxRenewals such renewals, of which
// one comes back per RenewalInterval of block time; one that has none left is
// refused. Another key in a validator's place is put to the vote, its own included:
// who has stolen a validator's key cannot hand its place on. The key that is new
// begins without votes and with all its renewals.
//
// The votes of a validator that has left are dropped, and so is every vote for what
// is no longer possible. New validators are last in the set's order, and the order of
// the others stays. A change of the validators, or a renewal, ends the epoch: the
// block takes no more transactions.
//
// Growth: a transaction costs the bytes of its encoding in a body and IndexCost, the
// bytes that each entry grows by, and EntryCost for each entry that is new. The first one
// of a block costs what the archive has of the block besides: BlockCost, and SignatureCost
// for each signature of a quorum; one that ends the epoch as much again, and 64 bytes for
// each validator that comes next. What is deleted gives nothing back. The cost comes out of a token bucket that fills by the parameter
// growth_bytes_per_day of block time and holds a quarter of it; a transaction that
// costs more than is left is refused, so a block with one is not valid, whoever leads.
// Votes on validators and parameters come out of a bucket of each validator's own, of
// GovernanceBytesPerDay, so that they go through when the other one is empty. With
// growth_bytes_per_day 0, nothing is bounded.
//
// Parameters: all but window and checkpoint_interval, which the consensus core has
// from the genesis document, may be changed. A change counts from the next
// transaction on. Entries that are there when a limit is lowered stay.
//
// # Entries
//
// Keys of the map begin with a byte that says what the entry is. Numbers are
// unsigned varints of at most 63 bits (multiformats) where it says "number", and
// big endian otherwise.
//
//	01                                  validators
//	02                                  parameters
//	03 | key 32                         a validator
//	04 | key 32                         a validator's open votes
//	05 | owner 32                       an account
//	06 | root                           a snapshot, and its first owner's registration
//	07 | owner 32 | root                another owner's registration
//	08 | name                           a name
//	09 | owner 32 | key                 a record of an owner's own
//	0a | length of the name 1 | name | key    a record in a name's namespace
//	0b                                  what transactions can still add, full when there is none
//	0c | key 32                         what a validator's votes can still add, likewise
//	0d                                  the rules of admission
//
// Values begin with a byte that gives the version of their format, 01. A text is
// its length as a number and its bytes. An origin says which transaction made the
// entry: its ID 32, the block's sequence number 8 and its Unix time in milliseconds
// 8, in two's complement.
//
//	validators     number of keys 2 | keys 32 each, in order (see package genesis)
//	parameters     8 each, in the order of genesis.Params
//	validator      sequence number of the block since which it is one 8, 0 for the genesis document's
//	               | ID 32 of the transaction that made it one or took its place anew, 0 likewise
//	               | renewals left 1 | block time up to which those that come back are counted 8,
//	                 in two's complement, 0 when none is missing
//	               | number of addresses | address text each
//	open votes     number of votes | changes, in the order of their subjects
//	account        time of the block that made it 8, Unix milliseconds in two's complement
//	               | lowest unused nonce number | snapshots number | names number | records number
//	               | used nonces above it, a bit each, from the least significant of the first byte; the last byte is not 0
//	snapshot       first owner 32 | origin of the first registration | other owners number
//	               | 0 when the first owner has retired it
//	                 1 | terms, when the first registration stands
//	                 2 | origin | terms, when the first owner has registered it again
//	registration   origin | terms
//	terms          size number | retain_until number | label text
//	name           holder 32 | origin of the claim or acceptance | records number | target text
//	               | to whom it is offered 32, left out for nobody
//	record         origin of the last writing | value, to the end
//	admission      mode 1 | number of keys 2 | keys 32 each, as in the genesis document
//	can still add  bytes 8 | parts of a byte 8, of which 86,400,000 make one
//	               | block time up to which it has filled 8, in two's complement
//
// A change is written as in a transaction, package tx: the operation's type and its
// fields, without the salt, which no vote has. Subjects that are keys come before those that are parameters, and either
// in ascending order of their bytes; no two votes have one subject. There is no
// entry for no votes.
package state
