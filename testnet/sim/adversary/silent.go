package adversary

import "github.com/decube/decube/ledger/pbft"

// Silent says nothing at all.
type Silent struct{}

// Name implements Strategy.
func (Silent) Name() string { return "silent" }

// Send implements Strategy.
func (Silent) Send(*Replica, []pbft.Envelope) []Packet { return nil }
