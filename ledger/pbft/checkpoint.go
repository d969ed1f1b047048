package pbft

import "github.com/decube/decube/ledger/quorum"

// perReplica is how many checkpoint votes of one replica are kept. The window
// above the last certified checkpoint has room for two, and the epoch's end.
const perReplica = 4

// checkpoints are one replica's latest CHECKPOINT votes, ascending.
type checkpoints []*Vote

// noteDue notes that a committed block is one at which there is a checkpoint.
func (r *Replica) noteDue(d *Decision) {
	if d.Header.Epoch != r.start.Epoch || (d.Header.Seq%r.cfg.CheckpointInterval != 0 && !d.Header.Last()) {
		return
	}
	s := d.Cert.Subject
	s.Phase, s.View = Checkpoint, 0
	r.due = append(r.due, s)
	if len(r.due) > perReplica {
		r.due = r.due[1:]
	}
}

// onStored votes for the checkpoints that have become durable.
func (r *Replica) onStored(seq uint64) {
	r.stored = max(r.stored, min(seq, r.base.header.Seq))
	r.voteCheckpoints()
}

func (r *Replica) voteCheckpoints() {
	for _, s := range r.due {
		// A checkpoint lets others forget what leads to it. Who signs one that a crash
		// could take from it would leave fewer copies than the certificate promises.
		if s.Seq > r.stored || s.Seq <= r.stable.Seq || r.votedCheckpoint(s.Seq) {
			continue
		}
		v := r.sign(s)
		r.addCheckpointVote(v)
		r.send(v)
	}
}

func (r *Replica) votedCheckpoint(seq uint64) bool {
	for _, v := range r.ballots[r.start.Self] {
		if v.Seq == seq {
			return true
		}
	}
	return false
}

// onCheckpoint counts a CHECKPOINT vote.
func (r *Replica) onCheckpoint(v *Vote) {
	if v.Replica != r.start.Self && v.Seq > r.stable.Seq {
		r.addCheckpointVote(v)
	}
}

// addCheckpointVote keeps a vote among its author's latest, and certifies the
// checkpoint if that makes a quorum.
func (r *Replica) addCheckpointVote(v *Vote) {
	mine := r.ballots[v.Replica]
	at := len(mine)
	for at > 0 && mine[at-1].Seq >= v.Seq {
		at--
	}
	if at < len(mine) && mine[at].Seq == v.Seq {
		if mine[at].Subject != v.Subject {
			r.blame(&Evidence{Kind: Equivocation, First: *mine[at], Second: *v})
		}
		return
	}
	mine = append(mine, nil)
	copy(mine[at+1:], mine[at:])
	mine[at] = v
	if len(mine) > perReplica {
		mine = mine[1:]
	}
	r.ballots[v.Replica] = mine
	r.certifyCheckpoint(v.Subject)
}

// certifyCheckpoint looks for a quorum of votes like this one.
func (r *Replica) certifyCheckpoint(s Subject) {
	cert := Certificate{Subject: s}
	var set quorum.Set
	for i := range r.ballots {
		for _, v := range r.ballots[i] {
			if v.Subject == s {
				cert.Sigs = append(cert.Sigs, Signed{v.Replica, v.Sig})
				set.Add(v.Replica)
			}
		}
	}
	if s.Seq <= r.stable.Seq || !r.start.Committee.Certifies(set) {
		return
	}
	r.catchUp.certified(r, &cert)
	r.stabilize(&cert)
}

// onCertified takes the proof of a checkpoint.
func (r *Replica) onCertified(cert *Certificate) {
	if cert.Seq > r.stable.Seq {
		r.catchUp.certified(r, cert)
		r.stabilize(cert)
	}
}

// stabilize moves the window's foot to a certified checkpoint.
func (r *Replica) stabilize(cert *Certificate) {
	r.stable = *cert
	r.out.Stable = cert
	for i := range r.ballots {
		kept := r.ballots[i][:0]
		for _, v := range r.ballots[i] {
			if v.Seq > cert.Seq {
				kept = append(kept, v)
			}
		}
		clear(r.ballots[i][len(kept):])
		r.ballots[i] = kept
	}
	for len(r.due) > 0 && r.due[0].Seq <= cert.Seq {
		r.due = r.due[1:]
	}
}
