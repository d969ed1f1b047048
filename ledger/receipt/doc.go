// Package receipt proves offline who had what registered in a ledger, and when.
// All it takes is the ledger's genesis document; no node is asked, and none is
// believed.
//
//	genesis ID = cluster digest, in every signature
//	   |
//	first validators --sign--> a block that names them, and others as the next
//	   |                          |
//	   |                       those --sign--> ... one hop for each change of the set
//	   |                                         |
//	   +--------- or at once, if they ---------- a set of validators
//	              order the block                |sign (COMMIT, 2f+1 of them)
//	                                          block's header, which names the set
//	                                             |transaction root, RFC 6962
//	                                          transaction
//
// A block is valid only if every transaction in it could be carried out, and
// validators sign no other: what is in a block has happened.
//
// # Hops, and what they are worth
//
// Each header names the set of validators that orders the block, so that whoever
// trusts a set needs nothing else to judge a block of its: not the epoch it is of, nor
// what came before. A hop leads from one set to another: a block of the one that names
// the other as the next. Epochs that end with the set that they began with need none,
// and a way to a set that has been in office twice leads to it once.
//
// Along a way, sequence numbers and epochs grow and time does not run backwards. That
// a block is really behind the ones that led to it is not shown by a chain of parents,
// which would be as long as the ledger, but by the validators: each replica that is
// honest signs a block only on top of the whole history that it has executed.
//
// So this is what a receipt proves: of no set on the way, the first one and the last
// included, have 2f+1 keys been given away, then or since, or else the block is of the
// one ledger that there is, and what it says has happened. (With fewer than f+1 faulty
// replicas in a set, no other quorum of it signs. Keys of a set that has left are as
// good for forging as they ever were: a client that was not there cannot tell when a
// signature was made.) [FromSet] begins with a later set, for who knows one, and makes
// the way shorter and the keys younger.
//
// [Chain] is the left and upper half of the picture, and the one place outside the
// consensus core where certificates are judged: followers and light clients go along
// it, block by block or from hop to hop. [Verify] goes along it for one [Receipt].
//
// # The file
//
// A receipt is kept as JSON, in exactly the form that [Receipt.Encode] writes:
//
//	{
//	  "format": "decube/receipt/2",
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
//	  "hops": [                                    from the genesis's validators to the block's
//	    {
//	      "block": {...},                          one that hands over to other validators
//	      "certificate": {...},
//	      "validators": ["12D3Koo..."]             those, in the order of their numbers
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
