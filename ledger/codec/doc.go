// Package codec is how the ledger's messages, certificates, evidence, records, frames
// and blocks look as bytes: between validators, between peers, in the write-ahead log
// and in the store of blocks.
//
// Every value has exactly one encoding, and decoding refuses all other bytes
// with an error that wraps [pbft.ErrMalformed]. Decoding checks form only: what
// it returns is as trustworthy as the sender until a [pbft.Verifier] has seen it.
// It copies what it needs, takes memory in proportion to the bytes at hand and
// never to a count that is merely announced, and bounds every count by [Limits]:
// at most [quorum.MaxReplicas] signatures of a certificate and view changes of a
// NEW-VIEW, [pbft.MaxWindow] locks of one. Bodies of blocks are not copied: they share
// the memory of what they were decoded from, and are not looked into.
//
// # Format
//
// This is version 1. Whatever can stand alone begins with a kind, and no kind is
// ever used for another format: a change of format takes new kinds, so stored
// bytes stay readable for as long as their kinds are known.
//
//	message     = 0x01 vote | 0x02 proposal | 0x03 decision | 0x04 view change
//	            | 0x05 new view | 0x06 status | 0x07 cert
//	certificate = 0x10 cert
//	evidence    = 0x11 vote, vote          equivocation
//	            | 0x12 vote, epoch, view, claims   amnesia
//	log record  = 0x31 view, header, body  accepted; the body is what is left, or nothing
//	            | 0x32 header, cert        prepared
//	            | 0x33 view change         change
//	            | 0x34 new view            entered
//	            | 0x35 decision, body      decided; as above
//	            | 0x36 salt (16 bytes), transaction ID (32 bytes)   renewal
//	frame       = message                  but for a proposal, which is with its body
//	            | 0x41 proposal, body      the body is what is left
//	            | 0x42 proposal, n, n x transaction ID
//	            | 0x43 body                transactions handed on
//	            | 0x44 root (32 bytes), seq    a question for a body
//	            | 0x45 root, body          the answer
//	            | 0x46 epoch               a question for what the asker has said
//	            | 0x47 epoch               the end of the answer
//	block       = 0x51 header, cert, length, body, set   the set only where other validators come next
//	hop         = 0x52 header, cert, set   a block that hands over to other validators, without its body
//	head        = 0x53 header, cert, earliest, 0 | 1 header, cert, 0 | 1 header, cert
//	                                       the last block, the first one kept, the
//	                                       checkpoint whose state is there with the last
//	                                       block of the epoch before it
//
// Integers are varints of at most 63 bits in shortest form (package
// internal/wire), except within a header. A replica is a varint below
// [quorum.MaxReplicas]. Fields follow one another without separators:
//
//	vote        = subject, replica, signature          phase 1 to 3
//	proposal    = view, header, signature
//	decision    = header, cert
//	view change = epoch, view, replica, cert, n, n x ( header, cert ), signature
//	new view    = epoch, view, n, n x cert, n, n x ( header, cert ), n, n x claims,
//	              n x signature, signature
//	status      = epoch, view, changing (0 or 1), committed, stable, replica, signature
//
//	cert        = subject, n, n x ( replica, signature )   replicas ascend; phase 0 to 3
//	subject     = phase (1 byte), epoch, view, seq, digest (32 bytes), state (32 bytes)
//	header      = the 188 bytes of pbft.Header.AppendTo; epoch and seq fit 63 bits
//	signature   = 64 bytes
//	body        = at least 1 byte, the encoding of package tx
//	set         = n (2 bytes, big endian), n x key (32 bytes): package genesis; the
//	              header beside it names it
//
// A new view has the certificates of its foundation ([pbft.Foundation]), each once:
// first those of the highest base, then the locks, in the order in which the view
// changes first need them. The view changes follow as what they claim, and refer to
// these. Then there is a signature of the leader for each proposal; their headers
// are those of the locks that are carried over ([pbft.CarriedOver]).
//
//	claims      = replica, base, n, n x lock, signature
//	base        = i                      the i-th certificate of the table, from 1
//	            | 0, seq, digest         a lower one
//	lock        = i                      the i-th lock of the table, from 1
//	            | 0, d, view, digest     one that decides nothing, d above the lock
//	                                     before or the base
//
// Different replicas have different quorums' certificates for one block. Which of
// them proves it is the leader's choice: a VIEW-CHANGE's signature is over its claims.
// Evidence has no table, and so claims alone.
//
// A cert of phase 0 stands for no certificate. Encoding expects what an honest
// replica makes, and panics for integers of 64 bits and for values of no known
// kind; nothing that was decoded makes it panic.
//
// # Sizes
//
// In the first 127 epochs and views and up to block 16,383 (each further factor
// of 128 is a byte more), for a committee of n with a quorum of q, below 128
// replicas:
//
//	PREPARE, COMMIT, CHECKPOINT    135 bytes
//	proposal                       254 bytes
//	decision                       259 + 65 q     454 for n = 4, 714 for n = 10
//	view change, k locks           139 + 65 q + k (258 + 65 q)
//	status                          73 bytes
//	proposal with a body of b       254 + b
//	proposal with k IDs             255 + 32 k   (k below 128)
//	transactions, answer            1 + b, 33 + b
//	question                        35
//	accepted record                 190, + b where the body is in it
//	prepared and decided record     259 + 65 q, + b
//	renewal record                  49
//
// A frame has at most [Limits.Frame] bytes, which is max_block_bytes and 64 KiB, and
// a log record at most [MaxLogRecord]. A proposal's frame has its message, without the
// kind, and its body besides.
//
// The largest NEW-VIEW, and the largest record of one, have [pbft.MaxNewView] bytes: for
// a window of 8
//
//	n        4      7      31      64      128      256
//	bytes    6,710  9,821  34,709  68,930  135,308  269,324
package codec
