package adversary

import "github.com/decube/decube/ledger/pbft"

// renewer asks for a new epoch as often as it may, and leaves one client's requests out
// of its blocks: it would lead for ever, if it led each epoch's first view.
type renewer struct{}

func (renewer) Send(_ *Replica, envelopes []pbft.Envelope) []Packet { return honest(envelopes) }

func (renewer) Censors(client uint8) bool { return client == 0 }

func (renewer) Renews() bool { return true }
