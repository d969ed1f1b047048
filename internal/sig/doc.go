// Package sig is the one place where the ledger signs and verifies: Ed25519,
// and for every verdict the rules of ZIP-215.
//
// RFC 8032 leaves open which odd signatures a verifier takes (points of small
// order, encodings that are not canonical, with or without the cofactor), and
// verifiers differ. A replica that took a transaction which another refused would
// fork the ledger. ZIP-215 decides every such case, and decides it so that a
// batch and a single verification always agree; the standard library decides
// some otherwise. What the ledger verifies, it therefore verifies here, and
// never with another verifier.
//
// # Encodings
//
// A public key is 32 bytes and a signature 64, as in RFC 8032. As text, a public
// key is the libp2p peer ID of the peer that holds it, so that a validator is
// called by one name everywhere:
//
//	base58btc( 00 24 | 08 01 12 20 | 32 bytes key )
//	           identity multihash, 36 bytes
//	                   protobuf: type Ed25519, 32 bytes of data
//
// and a signature is 128 lower-case hexadecimal digits. A private key is kept as
// libp2p keeps it, in 68 bytes:
//
//	08 01 12 40 | 32 bytes seed | 32 bytes public key
//
// Each has one encoding that is accepted.
package sig
