package state

import (
	"encoding/binary"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// State is the ledger's state after a block. It is an immutable value, safe for
// concurrent use, and costs what it differs in from the one before. The zero value
// is no state; see [Genesis] and [Open].
//
// What its methods return shares the map's memory and must not be changed. Their
// errors are the map's reader's, [smt.ErrCorrupt], or [ErrMalformed].
type State struct {
	entries smt.Map
	policy  admission.Policy // what the entry of the rules of admission says
}

// Genesis returns the state that a ledger begins with: the document's validators
// and parameters. It lives in memory only; see [Init] for one that can be stored.
func Genesis(g *genesis.Genesis) (State, error) { return Init(smt.Map{}, g) }

// Init is [Genesis] in a map that descends from an empty one, such as [smt.Open]
// returns for the zero ref: what comes of the state can be flushed to that map's
// store. It returns [genesis.ErrInvalid] for a document that makes no ledger.
func Init(empty smt.Map, g *genesis.Genesis) (State, error) {
	if err := g.Validate(); err != nil {
		return State{}, fmt.Errorf("state: genesis: %w", err)
	}
	if n := empty.Len(); n > 0 {
		return State{}, fmt.Errorf("state: genesis: the map has %d entries", n)
	}
	changes := []smt.Change{
		{Key: ValidatorsKey(), Value: appendValidators(nil, g.Set())},
		{Key: ParamsKey(), Value: appendParams(nil, g.Params)},
		{Key: AdmissionKey(), Value: appendAdmission(nil, g.Admission)},
	}
	for i := range g.Validators {
		v := &g.Validators[i]
		changes = append(changes, smt.Change{
			Key:   ValidatorKey(v.Key),
			Value: Validator{Renewals: fullRenewals(), Addresses: v.Addresses}.appendTo(nil),
		})
	}
	m, err := empty.Apply(changes)
	if err != nil {
		return State{}, fmt.Errorf("state: genesis: %w", err)
	}
	return State{entries: m, policy: g.Admission.Policy()}, nil
}

// Open returns the state that a map is of, and ErrMalformed for one without the
// entries that every state has.
func Open(m smt.Map) (State, error) {
	s := State{entries: m}
	if _, err := s.Validators(); err != nil {
		return State{}, err
	}
	if _, err := s.Params(); err != nil {
		return State{}, err
	}
	rules, err := s.Admission()
	if err != nil {
		return State{}, err
	}
	s.policy = rules.Policy()
	return s, nil
}

// Map returns the map of the state's entries, to be flushed, shed and sent to others.
func (s State) Map() smt.Map { return s.entries }

// Root returns the digest of the state, which a block's header has.
func (s State) Root() pbft.Digest { return s.entries.Root() }

// Begin returns a block on top of the state, with its sequence number and its time
// in Unix milliseconds.
func (s State) Begin(seq uint64, timeMillis int64) *Block {
	return &Block{base: s.entries, policy: s.policy, seq: seq, time: timeMillis, index: make(map[string]int)}
}

// Validators returns the validators that order the next block.
func (s State) Validators() (genesis.ValidatorSet, error) { return validatorsOf(s.entries) }

// Validator returns what is known of a validator, and whether the key is one's.
func (s State) Validator(key sig.PublicKey) (Validator, bool, error) {
	return read(s.entries, ValidatorKey(key), ParseValidator)
}

// Params returns the parameters.
func (s State) Params() (genesis.Params, error) { return paramsOf(s.entries) }

// Admission returns the rules by which the ledger admits operations.
func (s State) Admission() (admission.Rules, error) {
	return need(s.entries, AdmissionKey(), ParseAdmission)
}

// Param returns a parameter by its name in the genesis document, and false when
// there is none of that name.
func (s State) Param(name string) (uint64, bool, error) {
	p, err := s.Params()
	if err != nil {
		return 0, false, err
	}
	v, ok := param(p, name)
	return v, ok, nil
}

// Account returns what is counted of an owner. Owners whom the ledger has never met
// have an account as well, the zero value.
func (s State) Account(owner sig.PublicKey) (Account, error) { return accountOf(s.entries, owner) }

// Known returns since when the ledger knows an owner: the time of the block with the
// owner's first transaction, in Unix milliseconds, and false when there is none.
func (s State) Known(owner sig.PublicKey) (since int64, ok bool, err error) {
	a, ok, err := read(s.entries, AccountKey(owner), ParseAccount)
	return a.Created, ok, err
}

// NextNonce returns the owner's lowest unused nonce.
func (s State) NextNonce(owner sig.PublicKey) (uint64, error) {
	a, err := s.Account(owner)
	return a.Nonces.Next(), err
}

// Snapshot returns what is known of a root, and whether anybody has it registered.
func (s State) Snapshot(root tx.CID) (Snapshot, bool, error) {
	return read(s.entries, SnapshotKey(root), ParseSnapshot)
}

// Registration returns an owner's registration of a root, and whether there is one.
func (s State) Registration(root tx.CID, owner sig.PublicKey) (Registration, bool, error) {
	snapshot, ok, err := s.Snapshot(root)
	if err != nil || !ok {
		return Registration{}, false, err
	}
	if snapshot.First == owner {
		return snapshot.Registration, snapshot.Held, nil
	}
	return read(s.entries, RegistrationKey(root, owner), ParseRegistration)
}

// Name returns a name, and whether anybody holds it.
func (s State) Name(name string) (Name, bool, error) {
	return read(s.entries, NameKey(name), ParseName)
}

// Record returns the record of a key in a name's namespace, or in the owner's own
// when the namespace is empty, and whether there is one. The owner counts in the
// latter case only.
func (s State) Record(namespace, key string, owner sig.PublicKey) (Record, bool, error) {
	if len(namespace) > tx.MaxName {
		return Record{}, false, nil
	}
	return read(s.entries, RecordKey(namespace, key, owner), ParseRecord)
}

// Prove returns the value of one of the keys that this package makes, nil when the
// state has no such entry, and the proof of either under the state's root; see
// [smt.Verify] and [smt.VerifyAbsent].
func (s State) Prove(key []byte) (value []byte, proof smt.Proof, err error) {
	if value, _, err = s.entries.Get(key); err != nil {
		return nil, smt.Proof{}, fmt.Errorf("state: %w", err)
	}
	if proof, err = s.entries.Prove(key); err != nil {
		return nil, smt.Proof{}, fmt.Errorf("state: %w", err)
	}
	return value, proof, nil
}

// source is where entries are read from: a state's map, or a block on top of it.
type source interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

// read returns an entry, and whether there is one.
func read[T any](from source, key []byte, parse func([]byte) (T, error)) (entry T, ok bool, err error) {
	value, ok, err := from.Get(key)
	if err != nil {
		return entry, false, fmt.Errorf("state: entry %x: %w", key, err)
	}
	if !ok {
		return entry, false, nil
	}
	if entry, err = parse(value); err != nil {
		return entry, false, fmt.Errorf("state: entry %x: %w", key, err)
	}
	return entry, true, nil
}

// need is read for entries that every state has.
func need[T any](from source, key []byte, parse func([]byte) (T, error)) (T, error) {
	entry, ok, err := read(from, key, parse)
	if err == nil && !ok {
		return entry, fmt.Errorf("state: entry %x: %w: missing", key, ErrMalformed)
	}
	return entry, err
}

func accountOf(from source, owner sig.PublicKey) (Account, error) {
	a, _, err := read(from, AccountKey(owner), ParseAccount)
	return a, err
}

func votesOf(from source, voter sig.PublicKey) (votes, error) {
	open, _, err := read(from, VotesKey(voter), ParseVotes)
	return open, err
}

func validatorsOf(from source) (genesis.ValidatorSet, error) {
	return need(from, ValidatorsKey(), ParseValidators)
}

// validatorCount returns how many validators there are.
func validatorCount(from source) (int, error) {
	return need(from, ValidatorsKey(), func(value []byte) (int, error) {
		d := decoder(value)
		b := d.Bytes(2)
		if b == nil {
			return 0, fmt.Errorf("%w: validators: %w", ErrMalformed, d.Err())
		}
		return int(binary.BigEndian.Uint16(b)), nil
	})
}

func paramsOf(from source) (genesis.Params, error) { return need(from, ParamsKey(), ParseParams) }

// ParseValidators reads the validator set's entry, and returns ErrMalformed for
// what no such entry is.
func ParseValidators(value []byte) (genesis.ValidatorSet, error) {
	if len(value) == 0 || value[0] != version {
		return nil, fmt.Errorf("%w: validators: version %x, want %d", ErrMalformed, value[:min(1, len(value))], version)
	}
	set, err := genesis.ParseValidatorSet(value[1:])
	if err != nil {
		return nil, fmt.Errorf("%w: validators: %w", ErrMalformed, err)
	}
	return set, nil
}

// ParseAdmission reads the entry of the rules of admission, and returns ErrMalformed
// for what no such entry is.
func ParseAdmission(value []byte) (admission.Rules, error) {
	d := decoder(value)
	rules := admission.Rules{Mode: admission.Mode(d.Byte())}
	n := 0
	if b := d.Bytes(2); b != nil {
		n = int(binary.BigEndian.Uint16(b))
	}
	for range min(n, admission.MaxKeys) {
		rules.Keys = append(rules.Keys, publicKey(&d))
	}
	if _, err := finish(&d, rules, "admission"); err != nil {
		return admission.Rules{}, err
	}
	if err := rules.Validate(); err != nil {
		return admission.Rules{}, fmt.Errorf("%w: admission: %w", ErrMalformed, err)
	}
	return rules, nil
}

func appendAdmission(b []byte, rules admission.Rules) []byte {
	b = append(b, version, byte(rules.Mode))
	b = binary.BigEndian.AppendUint16(b, uint16(len(rules.Keys)))
	for i := range rules.Keys {
		b = append(b, rules.Keys[i][:]...)
	}
	return b
}

func appendValidators(b []byte, set genesis.ValidatorSet) []byte {
	return set.AppendTo(append(b, version))
}
