package adversary

import "github.com/decube/decube/ledger/pbft"

// censor leaves one client's requests out of its blocks. All else is by the rules.
type censor struct{}

func (censor) Send(_ *Replica, envelopes []pbft.Envelope) []Packet { return honest(envelopes) }

func (censor) Censors(client uint8) bool { return client == 0 }
