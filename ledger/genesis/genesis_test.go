package genesis_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// key returns the i-th of a fixed sequence of keys.
func key(i int) sig.PublicKey {
	return sig.FromSeed([sig.SeedSize]byte{byte(i), byte(i >> 8), 'g'}).Public()
}

// example returns a valid document that uses every field.
func example(tb testing.TB) *genesis.Genesis {
	tb.Helper()
	g, err := genesis.New("example.net-1", time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("east", 3600)),
		[]genesis.Validator{
			{Key: key(0), Name: "alpha", Addresses: []string{"/dns4/alpha.example/tcp/4001", "/ip6/::1/udp/4001/quic-v1"}},
			{Key: key(1), Name: "β <&> \"\\"},
			{Key: key(2), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}},
			{Key: key(3)},
		}, genesis.DefaultParams())
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// The file and the ID are formats: a change of either makes another ledger of
// every document that there is.
func TestGolden(t *testing.T) {
	g := example(t)
	got, err := g.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "example.json")
	if os.Getenv("DECUBE_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Marshal wrote (%v)\n%s", err, got)
	}
	for _, c := range []struct {
		what      string
		got, want string
	}{
		{"ID", g.ID().String(), "1ef4017c7de176245fc75defb0ed664cf443e1bdbdeda98813bb92289143f58b"},
		{"set", g.Set().Digest().String(), "d8b77dd9558876aa026049b210c7fdbd9c26873abe8e5afe412c3329efd5731d"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, want %s", c.what, c.got, c.want)
		}
	}
}

// The ID again, from the bytes that the package comment describes.
func TestIDIsTheSumOfTheDescribedBytes(t *testing.T) {
	g, err := genesis.New("n", time.UnixMilli(0x0102), []genesis.Validator{{Key: key(7), Name: "a", Addresses: []string{"/x"}}}, genesis.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	k := key(7)
	b := "decube/genesis/1\x00" +
		"\x00\x00\x00\x01n" + "\x00\x00\x00\x00\x00\x00\x01\x02" + "\x00\x00\x00\x01" +
		string(k[:]) + "\x00\x00\x00\x01a" + "\x00\x00\x00\x01" + "\x00\x00\x00\x02/x" +
		"\x00\x00\x00\x09"
	for _, v := range []string{
		"0000000000000008", "0000000000000080", "00000000000003e8", "0000000000100000",
		"0000000000000400", "00000000000186a0", "00000000000003e8", "0000000000002710",
		"0000000080000000",
	} {
		p, err := hex.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		b += string(p)
	}
	listed, err := g.WithAdmission(list(k))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := listed.ID(), sum(b+"\x01\x00\x00\x00\x01"+string(k[:])); got != want {
		t.Errorf("ID with a list is %v, want %v", got, want)
	}
	b += "\x00\x00\x00\x00\x00"
	if got, want := g.ID(), sum(b); got != want {
		t.Errorf("ID is %v, want %v", got, want)
	}
	if got, want := g.Set().Digest(), sum("decube/validators/1\x00\x00\x01"+string(k[:])); got != want {
		t.Errorf("digest of the set is %v, want %v", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	g := example(t)
	data, err := g.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := genesis.Parse(data)
	if err != nil || !reflect.DeepEqual(back, g) || back.ID() != g.ID() {
		t.Errorf("Parse(Marshal(g)) = %+v, %v, want %+v", back, err, g)
	}
	name := filepath.Join(t.TempDir(), "genesis.json")
	if err := g.Save(name); err != nil {
		t.Fatal(err)
	}
	if back, err := genesis.Load(name); err != nil || !reflect.DeepEqual(back, g) {
		t.Errorf("Load = %+v, %v", back, err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("the file's mode is %v, %v", fi.Mode(), err)
	}
}

func list(keys ...sig.PublicKey) admission.Rules {
	return admission.Rules{Mode: admission.ModeList, Keys: keys}
}

func TestListRoundTrips(t *testing.T) {
	keys := []sig.PublicKey{key(9), key(1)}
	g, err := example(t).WithAdmission(list(keys...))
	if err != nil {
		t.Fatal(err)
	}
	keys[0] = key(2)
	data, err := g.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := genesis.Parse(data)
	if err != nil || !reflect.DeepEqual(back, g) || back.ID() != g.ID() || back.Admission.Keys[0] != key(9) {
		t.Errorf("Parse(Marshal(g)) = %+v, %v, want %+v", back, err, g)
	}
	if _, err := g.WithAdmission(admission.Rules{Keys: keys}); !errors.Is(err, genesis.ErrInvalid) {
		t.Errorf("an open list: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := genesis.Load(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	name := filepath.Join(dir, "large")
	if err := os.WriteFile(name, bytes.Repeat([]byte(" "), genesis.MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := genesis.Load(name); !errors.Is(err, genesis.ErrInvalid) || !strings.Contains(err.Error(), name) {
		t.Errorf("too large: %v", err)
	}
	if err := new(genesis.Genesis).Save(name); !errors.Is(err, genesis.ErrInvalid) {
		t.Errorf("saving nothing: %v", err)
	}
}

// The largest document that is valid can be read again.
func TestLargestFits(t *testing.T) {
	name := strings.Repeat("\\", genesis.MaxName-3)
	var validators []genesis.Validator
	for i := range quorum.MaxReplicas {
		v := genesis.Validator{Key: key(i), Name: name + string([]byte{'a' + byte(i/16), 'a' + byte(i%16)})}
		for range genesis.MaxAddresses {
			v.Addresses = append(v.Addresses, strings.Repeat("\"", genesis.MaxAddress))
		}
		validators = append(validators, v)
	}
	g, err := genesis.New(strings.Repeat("n", genesis.MaxName), time.UnixMilli(1), validators, genesis.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	var listed []sig.PublicKey
	for i := range admission.MaxKeys {
		listed = append(listed, key(i))
	}
	if g, err = g.WithAdmission(list(listed...)); err != nil {
		t.Fatal(err)
	}
	data, err := g.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := genesis.Parse(data); err != nil || back.ID() != g.ID() {
		t.Errorf("%d bytes: %v", len(data), err)
	}
}

// Every part of the document is in the ID.
func TestIDCoversEverything(t *testing.T) {
	seen := map[pbft.Digest]string{example(t).ID(): "the example"}
	for name, change := range map[string]func(*genesis.Genesis){
		"network":              func(g *genesis.Genesis) { g.Network += "x" },
		"created":              func(g *genesis.Genesis) { g.Created = g.Created.Add(time.Millisecond) },
		"key":                  func(g *genesis.Genesis) { g.Validators[0].Key = key(9) },
		"name":                 func(g *genesis.Genesis) { g.Validators[0].Name = "other" },
		"no name":              func(g *genesis.Genesis) { g.Validators[0].Name = "" },
		"address":              func(g *genesis.Genesis) { g.Validators[0].Addresses[0] += "x" },
		"fewer addresses":      func(g *genesis.Genesis) { g.Validators[0].Addresses = g.Validators[0].Addresses[:1] },
		"order":                func(g *genesis.Genesis) { v := g.Validators; v[0], v[1] = v[1], v[0] },
		"fewer validators":     func(g *genesis.Genesis) { g.Validators = g.Validators[:3] },
		"window":               func(g *genesis.Genesis) { g.Params.Window++ },
		"checkpoint interval":  func(g *genesis.Genesis) { g.Params.CheckpointInterval++ },
		"transactions a block": func(g *genesis.Genesis) { g.Params.MaxBlockTransactions++ },
		"bytes a block":        func(g *genesis.Genesis) { g.Params.MaxBlockBytes++ },
		"nonce window":         func(g *genesis.Genesis) { g.Params.NonceWindow++ },
		"snapshots an owner":   func(g *genesis.Genesis) { g.Params.MaxSnapshotsPerOwner++ },
		"names an owner":       func(g *genesis.Genesis) { g.Params.MaxNamesPerOwner++ },
		"records an owner":     func(g *genesis.Genesis) { g.Params.MaxRecordsPerOwner++ },
		"a list":               func(g *genesis.Genesis) { g.Admission = list(key(8), key(9)) },
		"its order":            func(g *genesis.Genesis) { g.Admission = list(key(9), key(8)) },
		"a shorter list":       func(g *genesis.Genesis) { g.Admission = list(key(9)) },
		"growth":               func(g *genesis.Genesis) { g.Params.GrowthBytesPerDay++ },
	} {
		g := example(t)
		change(g)
		if err := g.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if other, taken := seen[g.ID()]; taken {
			t.Errorf("%s: the ID is that of %s", name, other)
		}
		seen[g.ID()] = name
	}
	if want := reflect.TypeFor[genesis.Params]().NumField() + 13; len(seen) != want {
		t.Errorf("%d documents, want %d: is a field of Params not looked at?", len(seen), want)
	}
}

func TestHeaderAndConfig(t *testing.T) {
	g := example(t)
	state := sum("state")
	h := g.Header(state)
	want := pbft.Header{
		Parent: g.ID(), Time: 1767319445678, State: state, Committee: g.Set().Digest(),
		Body: sum(""), // RFC 6962, 2.1: the hash of an empty list is the hash of an empty string
	}
	if h != want || h.Last() {
		t.Errorf("header is %+v, want %+v", h, want)
	}
	g.Params.Window, g.Params.CheckpointInterval = 3, 30
	cfg := g.Config(pbft.Default())
	if err := cfg.Validate(); err != nil || cfg.Cluster != g.ID() || cfg.Window != 3 || cfg.CheckpointInterval != 30 || cfg.CommitTimeout != pbft.Default().CommitTimeout {
		t.Errorf("config is %+v, %v", cfg, err)
	}
	if g.Name(key(0)) != "alpha" || g.Name(key(3)) != "" || g.Name(key(9)) != "" {
		t.Error("names are not the document's")
	}
}

func TestNewCopiesTheValidators(t *testing.T) {
	validators := []genesis.Validator{{Key: key(1)}}
	g, err := genesis.New("n", time.Now(), validators, genesis.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	validators[0].Key = key(2)
	if g.Validators[0].Key != key(1) {
		t.Error("a change of the argument is one of the document")
	}
}
