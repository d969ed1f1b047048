package adversary

import "github.com/decube/decube/ledger/pbft"

// silent says nothing at all.
type silent struct{}

func (silent) Send(*Replica, []pbft.Envelope) []Packet { return nil }
