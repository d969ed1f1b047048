package state_test

import (
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// A ledger with a list orders what the keys on it ask for, whether the state was made
// of the document, of blocks, or of a map that was fetched. Validators who are not on
// it vote, leave and take their places anew, and nothing else.
func TestListIsARuleOfTheBlocks(t *testing.T) {
	g := must(document(t, 5).WithAdmission(admission.Rules{Mode: admission.ModeList, Keys: keys[7:9]}))(t)
	w := newWorld(t, must(state.Genesis(g))(t))
	disk := &store{nodes: make(map[string][]byte), left: -1}
	for i, reopen := range []func() state.State{
		func() state.State { return w.state },
		func() state.State { return must(state.Open(w.state.Map()))(t) },
		func() state.State {
			before := must(state.Init(smt.Open(disk, smt.RootRef{}), g))(t)
			return must(state.Open(smt.Open(disk, disk.flush(t, before, 0))))(t)
		},
	} {
		w.state = reopen()
		for _, op := range []tx.Op{
			tx.NameClaim{Name: "n"}, tx.RecordPut{Key: "k", Value: []byte{byte(i), 1}}, tx.SnapshotRegister{Root: root(1), RetainUntil: int64(i)},
		} {
			w.refused(9, op, tx.CodeNotAdmitted)
			w.refused(1, op, tx.CodeNotAdmitted)
			if _, ok := op.(tx.NameClaim); !ok || i == 0 {
				w.ok(7, op)
			}
		}
		w.ok(1, tx.ParamsSet{Name: "nonce_window", Value: uint64(7 + i)})
		w.ok(2, renew(2, byte(i)))
		w.refused(9, renew(9, 1), tx.CodeNotValidator)
	}
	w.ok(4, remove(4))
	w.wantSet(0, 1, 2, 3)
	if rules := must(w.state.Admission())(t); rules.Mode != admission.ModeList || len(rules.Keys) != 2 {
		t.Errorf("%+v", rules)
	}
}
