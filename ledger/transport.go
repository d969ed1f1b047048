package ledger

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
)

// Receive takes a frame from another validator, which the transport has
// authenticated. It blocks while too much of the sender's is waiting, so that its
// stream is not read on. The frame is the ledger's from then on.
func (l *Ledger) Receive(from sig.PublicKey, class Class, frame []byte) {
	if len(frame) == 0 {
		return
	}
	// Parameters that are voted on may have changed in blocks that this replica has not
	// executed yet, and so may the committee: the limits are those that stay.
	f, err := driver.Read(class, frame, codec.Limits{Window: int(l.genesis.Params.Window)})
	if err != nil {
		l.inbox.malformed(driver.Malformed{From: from, Err: err}, len(frame), l.closing.begun)
		return
	}
	l.inbox.frame(driver.Arrived{From: from, Frame: f}, l.closing.begun)
}

// Lost is told when the last stream of a validator has ended.
func (l *Ledger) Lost(from sig.PublicKey) { l.inbox.put(driver.Lost{Peer: from}) }

// Duplicate is told when a second process has come with a validator's key, this peer's
// own among them, and was kept out. Who tells says it once an hour for each key.
func (l *Ledger) Duplicate(key sig.PublicKey) {
	l.log.Error("another process signs with a validator's key and was kept out: stop it", "validator", key)
	l.observer.Misbehaved("two processes with one key", key)
}

// KeyInUse is told when another process with this peer's key has its place among the
// validators. This one does not vote until it is started again, and follows.
func (l *Ledger) KeyInUse() { l.inbox.put(driver.KeyInUse{}) }
