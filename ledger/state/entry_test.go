package state_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// again decodes a value of one kind of entry and encodes what it says.
type again func(value []byte) ([]byte, error)

func entry[T state.Entry](parse func([]byte) (T, error)) again {
	return func(value []byte) ([]byte, error) {
		e, err := parse(value)
		if err != nil {
			return nil, err
		}
		return state.Encode(e), nil
	}
}

// kinds are the kinds of entries, by the first byte of their keys less 1.
var kinds = []again{
	func(value []byte) ([]byte, error) {
		set, err := state.ParseValidators(value)
		if err != nil {
			return nil, err
		}
		return state.EncodeValidators(set), nil
	},
	func(value []byte) ([]byte, error) {
		p, err := state.ParseParams(value)
		if err != nil {
			return nil, err
		}
		return state.EncodeParams(p), nil
	},
	entry(state.ParseValidator),
	func(value []byte) ([]byte, error) {
		open, err := state.ParseVotes(value)
		if err != nil {
			return nil, err
		}
		return state.EncodeVotes(open), nil
	},
	entry(state.ParseAccount),
	entry(state.ParseSnapshot),
	entry(state.ParseRegistration),
	entry(state.ParseName),
	entry(state.ParseRecord),
	entry(state.ParseRecord),
	entry(state.ParseBucket),
	entry(state.ParseBucket),
	func(value []byte) ([]byte, error) {
		rules, err := state.ParseAdmission(value)
		if err != nil {
			return nil, err
		}
		return state.EncodeAdmission(rules), nil
	},
}

// everything returns a state that has every kind of entry.
func everything(tb testing.TB) state.State {
	tb.Helper()
	w := newWorld(tb, genesisState(tb, 4))
	w.ok(3, renew(3, 1))
	w.ok(0, add(9))
	w.ok(0, remove(1))
	w.ok(0, tx.ParamsSet{Name: "nonce_window", Value: 5})
	for owner := range 3 {
		w.ok(owner, tx.SnapshotRegister{Root: root(0), Size: 1 << 40, Label: "label", RetainUntil: created})
		w.ok(owner, tx.SnapshotRegister{Root: root(1)})
	}
	w.ok(0, tx.SnapshotRetire{Root: root(0)})
	w.ok(0, tx.SnapshotRetire{Root: root(1)})
	w.ok(0, tx.SnapshotRegister{Root: root(0), Size: 7})
	w.ok(1, tx.NameClaim{Name: "n", Target: "target"})
	w.ok(1, tx.NameTransfer{Name: "n", To: keys[2]})
	w.ok(1, tx.RecordPut{Namespace: "n", Key: "k", Value: []byte("value")})
	w.ok(1, tx.RecordPut{Key: "k", Value: []byte("value")})
	b := w.state.Begin(100, 0)
	for _, nonce := range []uint64{2, 3, 20} {
		if err := b.Apply(transaction(tb, keys[5], nonce, tx.NameClaim{Name: "m"})); err != nil {
			tb.Fatal(err)
		}
	}
	after, _, err := b.Finish()
	return must(after, err)(tb)
}

// Every entry of a state is one of the package comment's, in its one encoding.
func TestEntries(t *testing.T) {
	seen := make(map[byte]int)
	for e, err := range everything(t).Map().All() {
		if err != nil {
			t.Fatal(err)
		}
		kind := e.Key[0]
		seen[kind]++
		got, err := kinds[kind-1](e.Value)
		if err != nil || !bytes.Equal(got, e.Value) {
			t.Errorf("entry %x: %x is written as %x: %v", e.Key, e.Value, got, err)
		}
		for n := range e.Value {
			got, err := kinds[kind-1](e.Value[:n])
			if err == nil && !bytes.Equal(got, e.Value[:n]) {
				t.Errorf("entry %x: %x is written as %x", e.Key, e.Value[:n], got)
			}
		}
	}
	for kind := range kinds {
		if seen[byte(kind+1)] == 0 {
			t.Errorf("no entry of kind %d", kind+1)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	origin := strings.Repeat("00", 48)
	key := strings.Repeat("11", 32)
	made := strings.Repeat("00", 8)
	full := "03" + strings.Repeat("00", 8) // renewals
	for name, c := range map[string]struct {
		kind  byte
		value string
	}{
		"nothing":                       {5, ""},
		"another version":               {5, "02" + made + "00000000"},
		"bytes too many":                {7, "01" + origin + "00000000"},
		"a number in a longer form":     {5, "01" + made + "8000000000"},
		"used nonces with a zero byte":  {5, "01" + made + "000000000100"},
		"too many used nonces":          {5, "01" + made + "00000000" + strings.Repeat("01", 1<<13+1)},
		"a snapshot that nobody has":    {6, "01" + key + origin + "0000"},
		"the first's origin repeated":   {6, "01" + key + origin + "0002" + origin + "000000"},
		"a manner that there is not":    {6, "01" + key + origin + "0103"},
		"a label above its bound":       {7, "01" + origin + "00008101" + strings.Repeat("61", 129)},
		"an empty record":               {9, "01" + origin},
		"a record above its bound":      {9, "01" + origin + strings.Repeat("00", tx.MaxValue+1)},
		"no votes":                      {4, "0100"},
		"too many votes":                {4, "0111"},
		"a vote for what is not voted":  {4, "010103" + "0161" + "00"},
		"a vote for a nameless one":     {4, "010108" + "00" + "00"},
		"two votes on one subject":      {4, "0102" + "08016101" + "08016102"},
		"votes in another order":        {4, "0102" + "08016201" + "08016101"},
		"a parameter before a key":      {4, "0102" + "08016101" + "07" + key},
		"a set of another version":      {1, "02" + "0001" + hex.EncodeToString(keys[0][:])},
		"a set without members":         {1, "010000"},
		"a set of whom nobody can be":   {1, "01" + "0001" + strings.Repeat("00", 32)},
		"parameters out of bounds":      {2, "01" + strings.Repeat("00", 72)},
		"too few parameters":            {2, "01" + strings.Repeat("00", 64)},
		"a mode that there is not":      {13, "01" + "02" + "0000"},
		"an open ledger with a list":    {13, "01" + "00" + "0001" + hex.EncodeToString(keys[0][:])},
		"a list of nobody":              {13, "01" + "01" + "0000"},
		"a list with a key twice":       {13, "01" + "01" + "0002" + strings.Repeat(hex.EncodeToString(keys[0][:]), 2)},
		"a list longer than it says":    {13, "01" + "01" + "0001" + strings.Repeat(hex.EncodeToString(keys[0][:]), 2)},
		"more bytes than a day has":     {11, "01" + "0000001000000001" + strings.Repeat("00", 16)},
		"parts that make a byte":        {12, "01" + strings.Repeat("00", 8) + "0000000005265c00" + strings.Repeat("00", 8)},
		"a vote for a renewal":          {4, "0101" + "06" + key + "00" + key},
		"too many addresses":            {3, "01" + strings.Repeat("00", 8) + full + "09" + strings.Repeat("00", 9)},
		"fewer addresses than it says":  {3, "01" + strings.Repeat("00", 8) + full + "02" + "00"},
		"four renewals":                 {3, "01" + strings.Repeat("00", 8) + "04" + strings.Repeat("00", 8) + "00"},
		"a full bucket that fills":      {3, "01" + strings.Repeat("00", 8) + "03" + strings.Repeat("00", 7) + "01" + "00"},
		"a name offered to nobody":      {8, "01" + key + origin + "0000" + strings.Repeat("00", 32)},
		"a name offered to its holder":  {8, "01" + key + origin + "0000" + key},
		"a name offered to half a key":  {8, "01" + key + origin + "0000" + key[:32]},
		"a name's target above a bound": {8, "01" + key + origin + "00" + "8102" + strings.Repeat("61", 257)},
	} {
		value := must(hex.DecodeString(c.value))(t)
		if _, err := kinds[c.kind-1](value); !errors.Is(err, state.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	valid := state.EncodeParams(genesis.DefaultParams())
	if _, err := state.ParseParams(append(valid, 0)); !errors.Is(err, state.ErrMalformed) {
		t.Errorf("parameters with a byte too many: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for e, err := range everything(f).Map().All() {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Key[0]-1, e.Value)
	}
	f.Add(state.AdmissionKey()[0]-1, state.EncodeAdmission(admission.Rules{Mode: admission.ModeList, Keys: keys[:3]}))
	f.Fuzz(func(t *testing.T, kind byte, value []byte) {
		got, err := kinds[int(kind)%len(kinds)](value)
		if err == nil && !bytes.Equal(got, value) {
			t.Errorf("kind %d: %x is written as %x", kind, value, got)
		}
	})
}
