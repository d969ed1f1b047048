// Package genesis is the document that makes a ledger: its name, its first
// validators, and what all replicas must agree on before they can agree on
// anything else. Whoever has the document can verify the whole ledger; who trusts
// it trusts nothing else.
//
// # The document
//
// People write and read it as JSON:
//
//	{
//	  "format": 1,
//	  "network": "example",                         1 to 64 of a-z 0-9 . -, from a letter or digit to one
//	  "created": "2026-01-02T03:04:05.678Z",        RFC 3339, UTC, whole milliseconds; the genesis block's time
//	  "validators": [                               1 to 256; the order gives replicas their numbers, from 0
//	    {
//	      "key": "12D3Koo...",                      Ed25519 peer ID
//	      "name": "alpha",                          optional, 1 to 64 bytes, no two alike
//	      "addresses": ["/dns4/alpha.example/..."]  optional, at most 8 of 1 to 256 printable ASCII bytes
//	    }
//	  ],
//	  "consensus": {"window": 8, ...},              every parameter; see [Params]
//	  "admission": {"mode": "open"}                 or {"mode": "list", "keys": ["12D3Koo...", ...]}, 1 to 1024
//	}                                               peer IDs, no two alike: whose operations are ordered
//
// It is read strictly: fields that are unknown, missing or given twice are
// refused, and so is anything after the document. No parameter has a default in
// the file: if one release changed the default, the same file would be another
// ledger. The layout (spaces, order of fields) carries no meaning.
//
// # The ID
//
// The genesis ID is the SHA-256 sum of the following bytes, which cover everything
// that the document says. It is the cluster digest in every signature, so that
// what is signed for one ledger says nothing in another. Integers are big endian;
// a text is its length as 4 bytes, then its UTF-8 bytes.
//
//	"decube/genesis/1" 00   17 bytes
//	network                 text
//	created                 8 bytes, Unix time in milliseconds
//	number of validators    4 bytes, then for each:
//	    key                     32 bytes
//	    name                    text, empty when there is none
//	    number of addresses     4 bytes, then for each:
//	        address                 text
//	number of parameters    4 bytes, then for each, in the order of the fields of Params:
//	    value                   8 bytes
//	mode of admission       1 byte: 0 open, 1 list
//	number of keys          4 bytes, then for each key on the list 32 bytes, in order
//
// # Validator sets
//
// A [ValidatorSet] is encoded as
//
//	number of keys          2 bytes, 1 to 256
//	keys                    32 bytes each, in order
//
// and its digest, which a block's header names as the next committee, is the
// SHA-256 sum of "decube/validators/1" 00 and that encoding.
package genesis
