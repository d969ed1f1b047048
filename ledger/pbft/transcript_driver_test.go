package pbft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/decube/decube/ledger/quorum"
)

// This file has the transcripts' commands that play the driver, the disk and
// Byzantine replicas.

func (tr *transcript) tick(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for i := range number(t, d, "n", 1) {
		oldest, requests := uint64(0), uint64(0)
		if d.HasArg("waiting") {
			oldest, requests = number(t, d, "since", 0)+i+1, number(t, d, "requests", 100)
		}
		tr.under(fmt.Sprintf("after %d ticks", i+1), func() {
			for _, r := range replicas(t, d) {
				tr.step(tr.nodes[r], Tick{Oldest: oldest, Waiting: requests})
			}
		})
	}
}

func (tr *transcript) holdBack(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	tr.hold = d.HasArg("checks")
	tr.unstored = d.HasArg("stored")
}

// check answers the oldest open Check of a replica, or the one for a block.
func (tr *transcript) check(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	nd := tr.nodes[replicas(t, d)[0]]
	for len(nd.checks) > 0 {
		at := 0
		if d.HasArg("block") {
			want := tr.blocks[value(t, d, "block")]
			if at = slices.IndexFunc(nd.checks, func(c Check) bool { return c.Header == want }); at < 0 {
				break
			}
		}
		c := nd.checks[at]
		nd.checks = slices.Delete(nd.checks, at, at+1)
		tr.under(fmt.Sprintf("%v checked", &c.Header), func() {
			tr.step(nd, Checked{View: c.View, Vouched: c.Vouched, Digest: c.Header.Digest(), Valid: !d.HasArg("invalid")})
		})
		if d.HasArg("block") {
			return
		}
	}
}

func (tr *transcript) stored(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for _, r := range replicas(t, d) {
		tr.step(tr.nodes[r], Stored{number(t, d, "seq", 0)})
	}
}

func (tr *transcript) crash(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	before := int(number(t, d, "before", 0))
	for _, r := range replicas(t, d) {
		nd := tr.nodes[r]
		if before > 0 {
			nd.dieBefore = len(nd.records) + before
			continue
		}
		nd.down = true
	}
}

// restart begins again from what is on the disk. Records that are lost although
// their votes were sent make a replica that is not to be trusted any more.
func (tr *transcript) restart(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for _, r := range replicas(t, d) {
		nd := tr.nodes[r]
		if keep := int(number(t, d, "records", 10_000)); keep < len(nd.records) {
			tr.witness.byzantine(r)
			nd.records = nd.records[:keep]
		}
		start := tr.start(r)
		start.Recovering = d.HasArg("recovering")
		tr.boot(t, nd, start)
	}
}

// nextEpoch makes the replicas of the epoch that the last block of replicas begins.
// Their logs begin anew.
func (tr *transcript) nextEpoch(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for i, r := range replicas(t, d) {
		nd := tr.nodes[r]
		last := &nd.chain[len(nd.chain)-1].Header
		if nd.stable == nil || nd.stable.Seq != last.Seq || !last.Last() {
			d.Fatalf(t, "replica %d has no certified last block", r)
		}
		if i == 0 && last.Epoch == tr.epoch {
			tr.epoch, tr.first = tr.epoch+1, *last
			start := tr.start(r)
			tr.verifier = NewVerifier(&tr.cfg, &start, checkSums)
		}
		nd.records = nil
		tr.boot(t, nd, tr.start(r))
	}
}

func (tr *transcript) wipe(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for _, r := range replicas(t, d) {
		nd := tr.nodes[r]
		nd.records, nd.chain, nd.stable, nd.down = nil, nil, nil, true
	}
}

// sync is the driver's answer to Sync: the chain of another replica, verified.
func (tr *transcript) sync(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	nd, from := tr.nodes[replicas(t, d)[0]], tr.nodes[number(t, d, "from", 0)]
	if len(nd.chain) >= len(from.chain) {
		d.Fatalf(t, "replica %d is not ahead", from.id)
	}
	nd.chain = slices.Clone(from.chain)
	v, errs := tr.verifier.Verify(nd.chain[len(nd.chain)-1])
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	tr.step(nd, Synced{Decision: v[0]})
}

// block makes a block that no honest leader was asked for.
func (tr *transcript) block(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	name := d.CmdArgs[0].Key
	on := tr.header(t, d, value(t, d, "on"))
	h := Header{Epoch: tr.epoch, Seq: on.Seq + 1, Parent: on.Digest(), Time: int64(number(t, d, "time", 1)), Count: 1, State: Digest{3, byte(len(tr.blocks))}, Committee: tr.first.Following()}
	if d.HasArg("bad") {
		h.State = Digest{0xbd}
	}
	if d.HasArg("last") {
		h.Next = Digest{0x77}
	}
	tr.names[h.Digest()] = name
	tr.blocks[name] = h
}

func (tr *transcript) header(t *testing.T, d *datadriven.TestData, name string) Header {
	t.Helper()
	h, ok := tr.blocks[name]
	if !ok {
		d.Fatalf(t, "no block %q", name)
	}
	return h
}

// say sends what a Byzantine replica signs. Certificates in it are of votes that
// were really sent: nobody can forge those.
//
//	say R pre-prepare B view=V            say R prepare|commit|checkpoint B view=V
//	say R view-change view=V [base=B@V] [locks=(B@V,...)]
//	say R new-view view=V changes=(R,...) [proposals=(B,...)]
//	say R status committed=S
func (tr *transcript) say(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	r := replicas(t, d)[0]
	tr.witness.byzantine(r)
	m := tr.speech(t, d, r, number(t, d, "view", 0))
	tr.witness.collect(m)
	filtered := filter(t, d)
	for _, nd := range tr.nodes {
		p := parcel{r, nd.id, m}
		if (nd.id != r || d.HasArg("to")) && filtered(p) {
			tr.queue = append(tr.queue, p)
			tr.printf("  %d>%d %v", p.from, p.to, p.message)
		}
	}
}

func (tr *transcript) speech(t *testing.T, d *datadriven.TestData, r quorum.Replica, view uint64) Message {
	t.Helper()
	kind, cluster := d.CmdArgs[1].Key, tr.cfg.Cluster
	phases := map[string]Phase{"prepare": Prepare, "commit": Commit, "checkpoint": Checkpoint}
	switch {
	case phases[kind] != 0:
		h := tr.header(t, d, d.CmdArgs[2].Key)
		v := &Vote{Subject: subject(phases[kind], view, &h, h.Digest()), Replica: r}
		v.Sig = signAs(r, v.Statement(cluster))
		return v
	case kind == "pre-prepare":
		p := &Proposal{View: view, Header: tr.header(t, d, d.CmdArgs[2].Key)}
		p.Sig = signAs(r, p.Subject().Statement(cluster))
		return p
	case kind == "view-change":
		return tr.viewChange(t, d, r, view)
	case kind == "new-view":
		return tr.newView(t, d, r, view)
	case kind == "status":
		s := &Status{Epoch: tr.epoch, View: view, Committed: number(t, d, "committed", 0), Replica: r}
		s.Sig = signAs(r, s.Statement(cluster))
		return s
	}
	d.Fatalf(t, "cannot say %q", kind)
	return nil
}

func (tr *transcript) viewChange(t *testing.T, d *datadriven.TestData, r quorum.Replica, view uint64) *ViewChange {
	t.Helper()
	start := subject(Commit, 0, &tr.first, tr.first.Digest())
	start.Epoch = tr.epoch
	vc := &ViewChange{Epoch: tr.epoch, View: view, Replica: r, Base: Certificate{Subject: start}}
	if d.HasArg("base") {
		_, vc.Base = tr.certificate(t, d, Commit, value(t, d, "base"))
	}
	for _, a := range d.CmdArgs {
		for _, name := range a.Vals {
			if a.Key == "locks" {
				h, cert := tr.certificate(t, d, Prepare, name)
				vc.Locks = append(vc.Locks, Lock{h, cert})
			}
		}
	}
	vc.Sig = signAs(r, vc.Statement(tr.cfg.Cluster))
	return vc
}

// newView is what the view changes ask for, unless other proposals are given.
func (tr *transcript) newView(t *testing.T, d *datadriven.TestData, r quorum.Replica, view uint64) *NewView {
	t.Helper()
	n := &NewView{Epoch: tr.epoch, View: view}
	var chain []Header
	for _, a := range d.CmdArgs {
		for _, v := range a.Vals {
			switch {
			case v == "": // proposals=()
			case a.Key == "changes":
				who, err := strconv.ParseUint(v, 10, 16)
				if err != nil {
					t.Fatal(err)
				}
				n.Changes = append(n.Changes, tr.witness.change(t, quorum.Replica(who), view))
			case a.Key == "proposals":
				chain = append(chain, tr.header(t, d, v))
			}
		}
	}
	if !d.HasArg("proposals") {
		chain = carriedOver(n.Changes)
	}
	for _, h := range chain {
		p := &Proposal{View: view, Header: h}
		p.Sig = signAs(r, p.Subject().Statement(tr.cfg.Cluster))
		n.Proposals = append(n.Proposals, p)
	}
	n.Sig = signAs(r, n.Statement(tr.cfg.Cluster))
	return n
}

// certificate makes one for BLOCK@VIEW of the votes that were sent.
func (tr *transcript) certificate(t *testing.T, d *datadriven.TestData, phase Phase, name string) (Header, Certificate) {
	t.Helper()
	block, in, _ := strings.Cut(name, "@")
	view, err := strconv.ParseUint(in, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	h := tr.header(t, d, block)
	cert := Certificate{Subject: subject(phase, view, &h, h.Digest())}
	for _, nd := range tr.nodes {
		if v := tr.witness.voted(nd.id, cert.Subject); v != nil {
			cert.Sigs = append(cert.Sigs, Signed{v.Replica, v.Sig})
		}
	}
	if len(cert.Sigs) < tr.size.Quorum() {
		d.Fatalf(t, "only %d replicas signed %v", len(cert.Sigs), cert.Subject)
	}
	return h, cert
}

// value reads key=VALUE.
func value(t *testing.T, d *datadriven.TestData, key string) string {
	t.Helper()
	var v string
	d.ScanArgs(t, key, &v)
	return v
}
