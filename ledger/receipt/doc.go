// Package receipt proves offline who had what registered in a ledger, and when.
// All it takes is the ledger's genesis document; no node is asked, and none is
// believed.
//
//	genesis ID = cluster digest, in every signature
//	   |
//	validators of epoch 0 --sign--> last block of epoch 0, which names
//	   |                               |
//	   |                            validators of epoch 1 --sign--> ... one transition each
//	   |                                                             |
//	   +---------------- or, in epoch 0, at once ---------------- validators of epoch e
//	                                                                 |sign (COMMIT, 2f+1 of them)
//	                                                              block's header
//	                                                                 |transaction root, RFC 6962
//	                                                              transaction
//
// A block is valid only if every transaction in it could be carried out, and
// validators sign no other: what is in a block has happened.
//
// [Chain] is the left and upper half of the picture, and the one place outside the
// consensus core where certificates are judged: followers and light clients go
// along it, block by block or from one change of the committee to the next.
// [Verify] goes along it for one [Receipt].
//
// # The file
//
// A receipt is kept as JSON, in exactly the form that [Receipt.Encode] writes:
//
//	{
//	  "format": "decube/receipt/1",
//	  "genesis": "64 hexadecimal digits",          the genesis ID
//	  "transaction": {"id": ..., "op": {...}},     see package tx
//	  "index": 2,                                  its place in the block, from 0
//	  "proof": ["64 hexadecimal digits"],          RFC 6962 inclusion proof, from the leaf upwards
//	  "block": {                                   the header
//	    "epoch": 1,
//	    "sequence": 7,
//	    "parent": "64 hexadecimal digits",
//	    "time": "2026-01-02T03:04:05.678Z",
//	    "transactions": 5,                         how many
//	    "transaction_root": "64 hexadecimal digits",
//	    "state_root": "64 hexadecimal digits",
//	    "validators": "64 hexadecimal digits",     digest of the set that ordered the block
//	    "next_validators": "64 hexadecimal digits" the set's digest; only in the last block of an epoch
//	  },
//	  "certificate": {
//	    "view": 0,
//	    "signatures": [{"replica": 0, "signature": "128 hexadecimal digits"}]
//	  },
//	  "transitions": [                             one for each epoch before the block's
//	    {
//	      "block": {...},                          the epoch's last
//	      "certificate": {...},
//	      "validators": ["12D3Koo..."]             of the next epoch, in the order of their numbers
//	    }
//	  ]
//	}
//
// indented by two spaces, with the fields in this order, and a line feed at the
// end. Nothing is said twice, once for people and once for the proof: what one
// reads, the owner, the operation, the time, is what was signed, because what was
// signed is made from it. The rest of what a certificate's signatures are over
// (phase COMMIT, epoch, sequence number, digest, state root) follows from the
// header beside it. [Decode] writes what it has read again and compares: a file in
// which a single byte is different is refused, even where it would mean the same.
package receipt
