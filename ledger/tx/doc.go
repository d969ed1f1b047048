// Package tx is what the ledger orders: signed transactions, the operations they
// ask for, and the list of them that is the body of a block. It knows the form
// and the rules that a transaction can be judged by alone; whether an operation
// may be carried out in the ledger's present state is the executor's to say, in
// the same [Code]s.
//
// A [Transaction] exists only if it is well formed: [Sign], [New], [Decode] and
// JSON make no other. Its signature is checked separately, with those of many
// others at once, by [VerifyAll].
//
// # Wire format
//
// Every value has one encoding; anything else is refused. Numbers are unsigned
// varints of at most 63 bits (multiformats), texts and byte strings are
//
//	varint length | bytes
//
// and keys, digests and signatures are as long as they are. A transaction is at
// most [MaxSize] bytes:
//
//	 1  version, 01
//	32  network: the genesis digest
//	32  owner: Ed25519 public key
//	 v  nonce
//	 1  type of the operation
//	 v  the operation's fields, in this order:
//	      01 snapshot.register   root bytes, size number, label text, retain_until number
//	      02 snapshot.retire     root bytes
//	      03 name.claim          name text, target text
//	      04 name.transfer       name text, to key (zeros for nobody)
//	      05 record.put          namespace text, key text, value bytes
//	      06 validator.add       key key, address text, replaces key (zeros for none), salt 16 (zeros for none)
//	      07 validator.remove    key key
//	      08 params.set          name text, value number
//	      09 name.accept         name text, records number
//	64  signature
//
// What the owner signs is the statement ([Transaction.Statement])
//
//	"decube/tx/1" | all of the above but the signature
//
// so that it can be taken for nothing else that the key signs. A transaction's
// [ID] is the RFC 6962 leaf hash of its encoding, SHA-256(00 | encoding), and a
// block's transaction root is the RFC 6962 tree head of its transactions' IDs.
//
// The body of a block, of at most [MaxBatch] transactions and [MaxBatchSize]
// bytes, and the list of its IDs are
//
//	body   varint count | count * ( varint length | transaction )
//	IDs    varint count | count * 32 bytes
//
// A proof of inclusion has at most [MaxProof] hashes, from the leaf upwards; package
// receipt says how it looks.
//
// # Text
//
// Replicas must agree on every transaction, whatever they were compiled with, so
// no rule asks the tables of a Unicode version. A printable text is UTF-8 without
// control characters (U+0000 to U+001F, U+007F to U+009F), line and paragraph
// separators (U+2028, U+2029), byte order marks (U+FEFF) and what changes the
// direction of the text around it (U+061C, U+200E, U+200F, U+202A to U+202E,
// U+2066 to U+2069). A name is 1 to [MaxName] bytes of a-z, 0-9, ".", "_" and
// "-", and begins and ends with a letter or digit.
//
// # JSON
//
// For people, an operation is an object with its type and its fields, as in
//
//	{"type":"name.claim","name":"photos","target":"bafyreib..."}
//
// where roots are CIDs as text, keys are peer IDs, values are base64 and a salt is
// hexadecimal, left out when it is zero. Unknown
// and repeated fields and nulls are refused. A transaction is an object of id,
// network, owner, nonce, op and signature; the id may be left out.
package tx
