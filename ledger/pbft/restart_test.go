package pbft

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// trial is one run of a committee under a bad network, in which one replica's
// driver dies once. Up to then it is the same in every run.
type trial struct {
	*cluster
	rnd     *rand.Rand
	witness *witness
	waited  [4]uint64 // by replica: since its last commit
	had     [4]int    // and its blocks then
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	cfg := testConfig()
	cfg.Window, cfg.CheckpointInterval = 3, 4
	cfg.PreprepareTimeout, cfg.PrepareTimeout, cfg.CommitTimeout = 6, 6, 6
	cfg.ResendInterval, cfg.IdleStatus = 4, 8
	tr := &trial{cluster: newCluster(t, 4, cfg), rnd: rand.New(rand.NewPCG(3, 3))}
	tr.witness = newWitness(tr.cluster)
	tr.watch = tr.witness.sent
	return tr
}

// round is one tick: leaders propose, and of the messages under way some arrive,
// in any order, some are lost, some wait.
func (tr *trial) round(cut int) {
	for _, nd := range tr.nodes {
		tr.waited[nd.id]++
		if len(nd.chain) != tr.had[nd.id] {
			tr.waited[nd.id], tr.had[nd.id] = 1, len(nd.chain)
		}
		tr.step(nd, Tick{Oldest: tr.waited[nd.id]})
		if !nd.down && tr.rnd.IntN(3) == 0 {
			tr.build(nd)
		}
	}
	for range len(tr.queue) / 2 {
		at := tr.rnd.IntN(len(tr.queue))
		p := tr.queue[at]
		tr.queue[at] = tr.queue[len(tr.queue)-1]
		tr.queue = tr.queue[:len(tr.queue)-1]
		if lost := tr.rnd.IntN(6) == 0 || int(p.from) == cut || int(p.to) == cut; !lost {
			tr.hand(p)
		}
	}
}

// script is the run: the leader is cut off now and then, so that there are view
// changes with blocks in flight.
func (tr *trial) script(t *testing.T, victim *node) {
	t.Helper()
	for i := range 90 {
		cut := -1
		if i%30 >= 10 && i%30 < 20 {
			cut = i / 30 // the leader of one of the first views
		}
		tr.round(cut)
		if victim != nil && victim.down && tr.rnd.IntN(3) == 0 {
			tr.boot(t, victim, tr.start(victim.id))
		}
	}
}

// heal delivers everything and lets replicas find one another.
func (tr *trial) heal(t *testing.T) {
	t.Helper()
	for _, nd := range tr.nodes {
		nd.dieBefore = 0
		if nd.down {
			tr.boot(t, nd, tr.start(nd.id))
		}
	}
	for range 60 {
		for _, nd := range tr.nodes {
			tr.step(nd, Tick{})
			if nd.sync != nil {
				tr.fetch(nd)
			}
		}
		tr.deliver(-1, all)
	}
}

// fetch is a driver's answer to Sync.
func (tr *trial) fetch(nd *node) {
	nd.sync = nil
	for _, other := range tr.nodes {
		if len(other.chain) > len(nd.chain) {
			nd.chain = append(nd.chain, other.chain[len(nd.chain):]...)
		}
	}
	if len(nd.chain) == 0 {
		return
	}
	v, errs := tr.verifier.Verify(nd.chain[len(nd.chain)-1])
	if errs[0] == nil {
		tr.step(nd, Synced{Decision: v[0]})
	}
}

// A replica dies before each of the records that it ever writes, comes back with
// those before it, and goes on: it never contradicts what it said, nobody loses
// what was committed, and the committee goes on.
func TestRestartAtEveryRecord(t *testing.T) {
	reference := newTrial(t)
	reference.script(t, nil)
	reference.heal(t)
	reference.witness.finish(t, reference.cluster)
	for _, nd := range reference.nodes {
		view, _ := nd.View()
		if len(nd.records) < 40 || len(nd.chain) < 10 || view < 2 {
			t.Fatalf("replica %d: %d records, %d blocks, view %d: the run is too quiet", nd.id, len(nd.records), len(nd.chain), view)
		}
	}
	for id, nd := range reference.nodes {
		for before := 1; before <= len(nd.records); before++ {
			t.Run(fmt.Sprintf("replica %d record %d", id, before), func(t *testing.T) {
				tr := newTrial(t)
				victim := tr.nodes[id]
				victim.dieBefore = before
				tr.script(t, victim)
				tr.heal(t)
				tr.witness.finish(t, tr.cluster)
				for _, other := range tr.nodes {
					if other.halted != nil || len(other.chain) != len(tr.nodes[0].chain) || len(other.chain) < 5 {
						t.Errorf("replica %d has %d blocks, replica 0 has %d; halted: %v", other.id, len(other.chain), len(tr.nodes[0].chain), other.halted)
					}
				}
			})
		}
	}
}
