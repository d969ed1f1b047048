package state_test

import (
	"bytes"
	"maps"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// model is what a ledger does, in plain maps and without a thought for speed. It
// counts by looking at everything, and shares no code with the executor.
type model struct {
	set    []sig.PublicKey
	ended  bool // the epoch, with the last transaction
	since  map[sig.PublicKey]uint64
	spent  map[sig.PublicKey][]int64 // when each renewal that has not come back was used
	params map[string]uint64
	listed []sig.PublicKey // those who are admitted, or nil for everybody
	votes  map[sig.PublicKey][]tx.Op

	met     map[sig.PublicKey]int64 // when
	used    map[sig.PublicKey]map[uint64]bool
	names   map[string]modelName
	records map[modelRecord][]byte
	held    map[modelHold]tx.SnapshotRegister
	first   map[string]sig.PublicKey
}

type modelName struct {
	holder sig.PublicKey
	target string
	offer  sig.PublicKey
}

type modelRecord struct {
	namespace string
	owner     sig.PublicKey // zero in a name's namespace
	key       string
}

type modelHold struct {
	root  string
	owner sig.PublicKey
}

func newModel(g *genesis.Genesis) *model {
	return &model{
		set:    g.Set(),
		listed: g.Admission.Keys,
		since:  make(map[sig.PublicKey]uint64),
		spent:  make(map[sig.PublicKey][]int64),
		params: map[string]uint64{
			"window": g.Params.Window, "checkpoint_interval": g.Params.CheckpointInterval,
			"max_block_transactions": g.Params.MaxBlockTransactions, "max_block_bytes": g.Params.MaxBlockBytes,
			"nonce_window": g.Params.NonceWindow, "max_snapshots_per_owner": g.Params.MaxSnapshotsPerOwner,
			"max_names_per_owner": g.Params.MaxNamesPerOwner, "max_records_per_owner": g.Params.MaxRecordsPerOwner,
			"growth_bytes_per_day": g.Params.GrowthBytesPerDay,
		},
		votes:   make(map[sig.PublicKey][]tx.Op),
		met:     make(map[sig.PublicKey]int64),
		used:    make(map[sig.PublicKey]map[uint64]bool),
		names:   make(map[string]modelName),
		records: make(map[modelRecord][]byte),
		held:    make(map[modelHold]tx.SnapshotRegister),
		first:   make(map[string]sig.PublicKey),
	}
}

// apply returns the code of a transaction, and whether it ended the epoch.
func (m *model) apply(t *tx.Transaction, seq uint64, now int64) (tx.Code, bool) {
	if m.listed != nil && !slices.Contains(m.listed, t.Owner) && !slices.Contains([]string{"validator.add", "validator.remove", "params.set"}, t.Op.Type().String()) {
		return tx.CodeNotAdmitted, false
	}
	switch next := m.next(t.Owner); {
	case m.used[t.Owner][t.Nonce]:
		return tx.CodeNonceUsed, false
	case t.Nonce >= next+m.params["nonce_window"]:
		return tx.CodeNonceTooFar, false
	}
	m.ended = false
	code := m.operate(t, seq, now)
	if code == tx.CodeOK {
		if m.used[t.Owner] == nil {
			m.used[t.Owner] = make(map[uint64]bool)
		}
		m.used[t.Owner][t.Nonce] = true
		if _, met := m.met[t.Owner]; !met {
			m.met[t.Owner] = now
		}
	}
	return code, m.ended
}

func (m *model) next(owner sig.PublicKey) uint64 {
	n := uint64(0)
	for m.used[owner][n] {
		n++
	}
	return n
}

func (m *model) countNames(owner sig.PublicKey) (n uint64) {
	for _, name := range m.names {
		if name.holder == owner {
			n++
		}
	}
	return n
}

func (m *model) countRecords(owner sig.PublicKey) (n uint64) {
	for at := range m.records {
		if at.owner == owner || at.namespace != "" && m.names[at.namespace].holder == owner {
			n++
		}
	}
	return n
}

func (m *model) countIn(namespace string) (n uint64) {
	for at := range m.records {
		if at.namespace == namespace {
			n++
		}
	}
	return n
}

func (m *model) countHeld(match func(modelHold) bool) (n uint64) {
	for h := range m.held {
		if match(h) {
			n++
		}
	}
	return n
}

func (m *model) operate(t *tx.Transaction, seq uint64, now int64) tx.Code {
	switch op := t.Op.(type) {
	case tx.SnapshotRegister:
		return m.register(t.Owner, op)
	case tx.SnapshotRetire:
		return m.retire(t.Owner, op, now)
	case tx.NameClaim:
		return m.claim(t.Owner, op)
	case tx.NameTransfer:
		return m.transfer(t.Owner, op)
	case tx.NameAccept:
		return m.accept(t.Owner, op)
	case tx.RecordPut:
		return m.record(t.Owner, op)
	default:
		return m.vote(t.Owner, op, seq, now)
	}
}

func (m *model) register(owner sig.PublicKey, op tx.SnapshotRegister) tx.Code {
	at := modelHold{string(op.Root), owner}
	old, ok := m.held[at]
	switch {
	case ok && op.RetainUntil < old.RetainUntil:
		return tx.CodeNotAllowed
	case ok && op.RetainUntil == old.RetainUntil:
		return tx.CodeAlreadyRegistered
	case ok && (op.Size != old.Size || op.Label != old.Label):
		return tx.CodeNotAllowed
	case !ok && m.countHeld(func(h modelHold) bool { return h.owner == owner }) >= m.params["max_snapshots_per_owner"]:
		return tx.CodeLimitExceeded
	}
	m.held[at] = op
	if _, ok := m.first[at.root]; !ok {
		m.first[at.root] = owner
	}
	return tx.CodeOK
}

func (m *model) retire(owner sig.PublicKey, op tx.SnapshotRetire, now int64) tx.Code {
	at := modelHold{string(op.Root), owner}
	others := func(h modelHold) bool { return h.root == at.root }
	old, ok := m.held[at]
	switch {
	case !ok && m.countHeld(others) == 0:
		return tx.CodeNotFound
	case !ok:
		return tx.CodeNotOwner
	case now < old.RetainUntil*1000:
		return tx.CodeNotAllowed
	}
	delete(m.held, at)
	if m.countHeld(others) == 0 {
		delete(m.first, at.root)
	}
	return tx.CodeOK
}

func (m *model) claim(owner sig.PublicKey, op tx.NameClaim) tx.Code {
	old, ok := m.names[op.Name]
	switch {
	case ok && old.holder != owner:
		return tx.CodeNameTaken
	case !ok && m.countNames(owner) >= m.params["max_names_per_owner"]:
		return tx.CodeLimitExceeded
	}
	if op.Target == "" {
		op.Target = old.target
	}
	m.names[op.Name] = modelName{owner, op.Target, old.offer}
	return tx.CodeOK
}

func (m *model) transfer(owner sig.PublicKey, op tx.NameTransfer) tx.Code {
	old, ok := m.names[op.Name]
	none := sig.PublicKey{}
	back := op.To == none || op.To == owner
	switch {
	case !ok:
		return tx.CodeNotFound
	case old.holder != owner:
		return tx.CodeNotOwner
	case back && old.offer == none:
		return tx.CodeNotFound
	case back:
		old.offer = none
	default:
		old.offer = op.To
	}
	m.names[op.Name] = old
	return tx.CodeOK
}

func (m *model) accept(owner sig.PublicKey, op tx.NameAccept) tx.Code {
	old, ok := m.names[op.Name]
	with := m.countIn(op.Name)
	switch {
	case !ok:
		return tx.CodeNotFound
	case old.offer != owner, with > op.Records:
		return tx.CodeNotAllowed
	case m.countNames(owner) >= m.params["max_names_per_owner"]:
		return tx.CodeLimitExceeded
	case with > 0 && m.countRecords(owner)+with > m.params["max_records_per_owner"]:
		return tx.CodeLimitExceeded
	}
	m.names[op.Name] = modelName{holder: owner, target: old.target}
	return tx.CodeOK
}

func (m *model) record(owner sig.PublicKey, op tx.RecordPut) tx.Code {
	at := modelRecord{op.Namespace, owner, op.Key}
	if op.Namespace != "" {
		at.owner = sig.PublicKey{}
		name, ok := m.names[op.Namespace]
		switch {
		case !ok:
			return tx.CodeNotFound
		case name.holder != owner:
			return tx.CodeNotOwner
		}
	}
	_, ok := m.records[at]
	switch {
	case len(op.Value) == 0 && !ok:
		return tx.CodeNotFound
	case len(op.Value) == 0:
		delete(m.records, at)
		return tx.CodeOK
	case !ok && m.countRecords(owner) >= m.params["max_records_per_owner"]:
		return tx.CodeLimitExceeded
	}
	m.records[at] = bytes.Clone(op.Value)
	return tx.CodeOK
}

func (m *model) isMember(key sig.PublicKey) bool { return slices.Contains(m.set, key) }

// possible returns why a change cannot be made, or CodeOK.
func (m *model) possible(op tx.Op) tx.Code {
	switch c := op.(type) {
	case tx.ValidatorAdd:
		switch {
		case c.Key == c.Replaces && m.isMember(c.Key):
		case m.isMember(c.Key):
			return tx.CodeNotAllowed
		case c.Replaces != sig.PublicKey{} && !m.isMember(c.Replaces):
			return tx.CodeNotValidator
		}
	case tx.ValidatorRemove:
		switch {
		case !m.isMember(c.Key):
			return tx.CodeNotValidator
		case len(m.set) == 1:
			return tx.CodeNotAllowed
		}
	case tx.ParamsSet:
		now, ok := m.params[c.Name]
		switch {
		case !ok:
			return tx.CodeNotFound
		case c.Name == "window" || c.Name == "checkpoint_interval" || c.Value == now:
			return tx.CodeNotAllowed
		case c.Value == 0:
			return tx.CodeInvalid
		}
	}
	return tx.CodeOK
}

func sameSubject(a, b tx.Op) bool {
	of := func(op tx.Op) any {
		switch c := op.(type) {
		case tx.ValidatorAdd:
			return c.Key
		case tx.ValidatorRemove:
			return c.Key
		case tx.ParamsSet:
			return c.Name
		}
		return nil
	}
	return of(a) == of(b)
}

func (m *model) vote(owner sig.PublicKey, op tx.Op, seq uint64, now int64) tx.Code {
	if !m.isMember(owner) {
		return tx.CodeNotValidator
	}
	rest := slices.DeleteFunc(slices.Clone(m.votes[owner]), func(o tx.Op) bool { return sameSubject(o, op) })
	if code := m.possible(op); code != tx.CodeOK {
		so := code == tx.CodeNotValidator || code == tx.CodeNotAllowed
		switch c := op.(type) {
		case tx.ValidatorAdd:
			so = so && c.Replaces == sig.PublicKey{}
		case tx.ValidatorRemove:
			so = so && !m.isMember(c.Key)
		}
		if so && len(rest) < len(m.votes[owner]) {
			m.votes[owner] = rest
			return tx.CodeOK
		}
		return code
	}
	n := len(m.set)
	switch c := op.(type) {
	case tx.ValidatorAdd:
		switch {
		case c.Key == c.Replaces && c.Key != owner:
			return tx.CodeNotAllowed
		case c.Key == c.Replaces:
			if m.renewals(owner, now) == 0 {
				return tx.CodeRenewals
			}
			m.spent[owner] = append(m.spent[owner], now)
			m.enact(op, seq)
			return tx.CodeOK
		}
	case tx.ValidatorRemove:
		if c.Key == owner && (n-1)/3 == (n-2)/3 {
			m.enact(op, seq)
			return tx.CodeOK
		}
	}
	m.votes[owner] = append(rest, op)
	count := 0
	for _, voter := range m.set {
		if slices.Contains(m.votes[voter], op) {
			count++
		}
	}
	faulty := (n - 1) / 3
	if 2*count > n+faulty {
		m.enact(op, seq)
	}
	return tx.CodeOK
}

// renewals returns how many a validator has left. Those that were used come back one
// after the other, the first 10 minutes after it was used and each other one 10
// minutes after the one before, or after it was used when there was none to wait for.
func (m *model) renewals(key sig.PublicKey, now int64) int {
	left, back := 3, int64(0)
	for _, used := range m.spent[key] {
		if back = max(back, used) + 600_000; back > now {
			left--
		}
	}
	return left
}

func (m *model) enact(op tx.Op, seq uint64) {
	m.ended = op.Type() != tx.TypeParamsSet
	switch c := op.(type) {
	case tx.ValidatorAdd:
		m.since[c.Key] = seq
		if i := slices.Index(m.set, c.Replaces); i >= 0 {
			m.set[i] = c.Key
		} else {
			m.set = append(m.set, c.Key)
		}
	case tx.ValidatorRemove:
		m.set = slices.DeleteFunc(m.set, func(k sig.PublicKey) bool { return k == c.Key })
	case tx.ParamsSet:
		m.params[c.Name] = c.Value
	}
	maps.DeleteFunc(m.votes, func(voter sig.PublicKey, _ []tx.Op) bool { return !m.isMember(voter) })
	maps.DeleteFunc(m.since, func(key sig.PublicKey, _ uint64) bool { return !m.isMember(key) })
	maps.DeleteFunc(m.spent, func(key sig.PublicKey, _ []int64) bool { return !m.isMember(key) })
	for voter, open := range m.votes {
		m.votes[voter] = slices.DeleteFunc(slices.Clone(open), func(o tx.Op) bool { return m.possible(o) != tx.CodeOK })
	}
}
