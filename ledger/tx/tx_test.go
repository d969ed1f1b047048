package tx_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/tx"
)

// network is the genesis digest of the tests.
var network = [32]byte{'n', 'e', 't'}

// key returns the i-th key of the tests.
func key(i int) sig.PrivateKey { return sig.FromSeed([sig.SeedSize]byte{byte(i), byte(i >> 8)}) }

// root returns the CID of a text, with a digest of so many bytes.
func root(tb testing.TB, codec, hash uint64, length int, s string) tx.CID {
	tb.Helper()
	digest, err := mh.Sum([]byte(s), hash, length)
	if err != nil {
		tb.Fatal(err)
	}
	return cid.NewCidV1(codec, digest).Bytes()
}

// ops returns valid operations: at least one of each type, and the extremes.
func ops(tb testing.TB) []tx.Op {
	tb.Helper()
	name := strings.Repeat("n", tx.MaxName)
	return []tx.Op{
		tx.SnapshotRegister{Root: root(tb, cid.DagCBOR, mh.SHA2_256, 32, "a"), Size: 12345, Label: "Fotos März", RetainUntil: 1_893_456_000},
		tx.SnapshotRegister{Root: root(tb, cid.Raw, mh.SHA2_512, 60, "a"), Size: wire.MaxUvarint, Label: strings.Repeat("l", tx.MaxLabel), RetainUntil: 1<<63 - 1},
		tx.SnapshotRegister{Root: root(tb, cid.Raw, mh.IDENTITY, 0, "")},
		tx.SnapshotRetire{Root: root(tb, cid.DagProtobuf, mh.SHA2_256, 32, "b")},
		tx.NameClaim{Name: "photos", Target: "bafyreib…"},
		tx.NameClaim{Name: "0"},
		tx.NameClaim{Name: name, Target: strings.Repeat("t", tx.MaxTarget)},
		tx.NameTransfer{Name: "my-photos_2.old", To: key(1).Public()},
		tx.NameTransfer{Name: "photos"},
		tx.NameAccept{Name: "photos"},
		tx.NameAccept{Name: name, Records: wire.MaxUvarint},
		tx.RecordPut{Key: "k", Value: []byte("value")},
		tx.RecordPut{Namespace: "photos", Key: "schlüssel", Value: []byte{}},
		tx.RecordPut{Namespace: name, Key: strings.Repeat("k", tx.MaxKey), Value: bytes.Repeat([]byte{0xff}, tx.MaxValue)},
		tx.ValidatorAdd{Key: key(1).Public(), Address: "/ip4/10.0.0.1/tcp/4001", Replaces: key(2).Public()},
		tx.ValidatorAdd{Key: key(1).Public(), Address: strings.Repeat("a", tx.MaxAddress)},
		tx.ValidatorAdd{Key: key(1).Public()},
		tx.ValidatorAdd{Key: key(1).Public(), Replaces: key(1).Public(), Salt: tx.Salt{0xab, 15: 1}},
		tx.ValidatorRemove{Key: key(1).Public()},
		tx.ParamsSet{Name: "batch-size", Value: 100},
		tx.ParamsSet{Name: "x", Value: wire.MaxUvarint},
	}
}

// sign returns a transaction, which must be valid.
func sign(tb testing.TB, k sig.PrivateKey, nonce uint64, op tx.Op) *tx.Transaction {
	tb.Helper()
	t, err := tx.Sign(k, network, nonce, op)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// code returns the code of an error, which must be a rejection.
func code(tb testing.TB, err error) tx.Code {
	tb.Helper()
	c, ok := tx.CodeOf(err)
	if !ok {
		tb.Errorf("%v is no rejection", err)
	}
	return c
}

func TestEveryOperationRoundTrips(t *testing.T) {
	types := map[tx.Type]bool{}
	for i, op := range ops(t) {
		types[op.Type()] = true
		in := sign(t, key(i), uint64(i)<<i, op)
		out, err := tx.Decode(in.Raw())
		if err != nil {
			t.Errorf("%s: %v", op.Summary(), err)
			continue
		}
		if !reflect.DeepEqual(in, out) {
			t.Errorf("%s is decoded as %s", in.Summary(), out.Summary())
		}
		if want := rfc6962.DefaultHasher.HashLeaf(in.Raw()); out.ID() != tx.ID(want) {
			t.Errorf("ID %s, want %x", out.ID(), want)
		}
		again, err := tx.New(in.Network, in.Owner, in.Nonce, in.Op, in.Signature)
		if err != nil || !reflect.DeepEqual(in, again) {
			t.Errorf("New makes another transaction of the parts of %s: %v", in.Summary(), err)
		}
		if strings.ContainsAny(in.Summary(), "\n\r") || len(in.Summary()) > 800 {
			t.Errorf("summary: %s", in.Summary())
		}
	}
	if len(types) != 9 {
		t.Errorf("%d types are tried, want 9", len(types))
	}
}

// The encoding is the package comment's, byte by byte.
func TestWireFormat(t *testing.T) {
	k := key(7)
	in := sign(t, k, 300, tx.NameClaim{Name: "ab", Target: "xyz"})
	owner, signature := k.Public(), in.Signature
	var want []byte
	want = append(want, 1)
	want = append(want, network[:]...)
	want = append(want, owner[:]...)
	want = append(want, 0xac, 0x02, 3, 2, 'a', 'b', 3, 'x', 'y', 'z')
	statement := append([]byte("decube/tx/1"), want...)
	want = append(want, signature[:]...)
	if !bytes.Equal(in.Raw(), want) {
		t.Errorf("encoding % x\nwant     % x", in.Raw(), want)
	}
	if !bytes.Equal(in.Statement(), statement) {
		t.Errorf("statement %q", in.Statement())
	}
	if signature != k.Sign(statement) {
		t.Error("the signature is not of the statement")
	}
}

func TestDecodeKeepsTheBytes(t *testing.T) {
	raw := sign(t, key(1), 1, tx.RecordPut{Key: "k", Value: []byte("value")}).Raw()
	out, err := tx.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	put, ok := out.Op.(tx.RecordPut)
	if !ok || &out.Raw()[0] != &raw[0] || &put.Value[0] != &raw[bytes.Index(raw, []byte("value"))] {
		t.Error("the bytes were copied")
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := sign(t, key(1), 1, tx.NameClaim{Name: "ab", Target: "xyz"}).Raw()
	const nonce = 1 + 32 + 32
	// with returns the good encoding with its operation and nonce replaced.
	with := func(b ...byte) []byte {
		out := append(bytes.Clone(good[:nonce]), b...)
		return append(out, good[len(good)-sig.Size:]...)
	}
	small := bytes.Clone(good)
	copy(small[33:65], make([]byte, 32))
	var big []byte
	big = append(big, 1, 5, 0, 1, 'k')
	big = wire.AppendUvarint(big, tx.MaxValue+1)
	for name, c := range map[string]struct {
		b    []byte
		want tx.Code
	}{
		"nothing":               {nil, tx.CodeMalformed},
		"cut short":             {good[:len(good)-1], tx.CodeMalformed},
		"a byte too many":       {append(bytes.Clone(good), 0), tx.CodeMalformed},
		"another version":       {append([]byte{2}, good[1:]...), tx.CodeMalformed},
		"too large":             {make([]byte, tx.MaxSize+1), tx.CodeTooLarge},
		"type 0":                {with(1, 0), tx.CodeMalformed},
		"type 9":                {with(1, 9), tx.CodeMalformed},
		"no operation":          {with(1), tx.CodeMalformed},
		"a padded nonce":        {with(0x81, 0, 3, 2, 'a', 'b', 0), tx.CodeMalformed},
		"a nonce of 64 bits":    {with(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 3, 2, 'a', 'b', 0), tx.CodeMalformed},
		"a padded length":       {with(1, 3, 0x82, 0, 'a', 'b', 0), tx.CodeMalformed},
		"a text cut short":      {with(1, 3, 2, 'a'), tx.CodeMalformed},
		"a name too long":       {with(1, 3, tx.MaxName+1), tx.CodeTooLarge},
		"a value too long":      {append(append(bytes.Clone(good[:nonce]), big...), make([]byte, tx.MaxValue+1+sig.Size)...), tx.CodeTooLarge},
		"a name that is none":   {with(1, 3, 2, 'A', 'b', 0), tx.CodeInvalid},
		"an owner that is none": {small, tx.CodeInvalid},
	} {
		if got, err := tx.Decode(c.b); got != nil || code(t, err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	good := root(t, cid.Raw, mh.SHA2_256, 32, "a")
	v0 := good[2:]
	public := key(1).Public()
	pointer := tx.NameClaim{Name: "a"}
	for name, c := range map[string]struct {
		op   tx.Op
		want tx.Code
	}{
		"no operation":               {nil, tx.CodeInvalid},
		"a pointer":                  {&pointer, tx.CodeInvalid},
		"register: no root":          {tx.SnapshotRegister{}, tx.CodeInvalid},
		"register: CIDv0":            {tx.SnapshotRegister{Root: v0}, tx.CodeInvalid},
		"register: bytes follow":     {tx.SnapshotRegister{Root: append(bytes.Clone(good), 0)}, tx.CodeInvalid},
		"register: cut short":        {tx.SnapshotRegister{Root: good[:35]}, tx.CodeInvalid},
		"register: a padded codec":   {tx.SnapshotRegister{Root: append([]byte{1, 0xd5, 0}, good[2:]...)}, tx.CodeInvalid},
		"register: a short digest":   {tx.SnapshotRegister{Root: []byte{1, 0x55, 0x12, 1, 0}}, tx.CodeInvalid},
		"register: SHA-512":          {tx.SnapshotRegister{Root: root(t, cid.Raw, mh.SHA2_512, 64, "a")}, tx.CodeTooLarge},
		"register: a long root":      {tx.SnapshotRegister{Root: make([]byte, tx.MaxRoot+1)}, tx.CodeTooLarge},
		"register: size":             {tx.SnapshotRegister{Root: good, Size: 1 << 63}, tx.CodeInvalid},
		"register: long label":       {tx.SnapshotRegister{Root: good, Label: strings.Repeat("l", tx.MaxLabel+1)}, tx.CodeTooLarge},
		"register: not UTF-8":        {tx.SnapshotRegister{Root: good, Label: "a\xffb"}, tx.CodeInvalid},
		"register: before 1970":      {tx.SnapshotRegister{Root: good, RetainUntil: -1}, tx.CodeInvalid},
		"retire: no root":            {tx.SnapshotRetire{}, tx.CodeInvalid},
		"claim: no name":             {tx.NameClaim{}, tx.CodeInvalid},
		"claim: long name":           {tx.NameClaim{Name: strings.Repeat("n", tx.MaxName+1)}, tx.CodeTooLarge},
		"claim: capitals":            {tx.NameClaim{Name: "aBc"}, tx.CodeInvalid},
		"claim: a space":             {tx.NameClaim{Name: "a b"}, tx.CodeInvalid},
		"claim: a comma":             {tx.NameClaim{Name: "a,b"}, tx.CodeInvalid},
		"claim: an umlaut":           {tx.NameClaim{Name: "aäb"}, tx.CodeInvalid},
		"claim: a dot first":         {tx.NameClaim{Name: ".a"}, tx.CodeInvalid},
		"claim: a dash last":         {tx.NameClaim{Name: "a-"}, tx.CodeInvalid},
		"claim: long target":         {tx.NameClaim{Name: "a", Target: strings.Repeat("t", tx.MaxTarget+1)}, tx.CodeTooLarge},
		"claim: newline in target":   {tx.NameClaim{Name: "a", Target: "b\nc"}, tx.CodeInvalid},
		"accept: no name":            {tx.NameAccept{}, tx.CodeInvalid},
		"accept: records of 64 bits": {tx.NameAccept{Name: "a", Records: 1 << 63}, tx.CodeInvalid},
		"transfer: to everybody":     {tx.NameTransfer{Name: "a", To: sig.PublicKey{1}}, tx.CodeInvalid},
		"transfer: to no point":      {tx.NameTransfer{Name: "a", To: sig.PublicKey{2}}, tx.CodeInvalid},
		"transfer: no name":          {tx.NameTransfer{To: public}, tx.CodeInvalid},
		"put: no key":                {tx.RecordPut{}, tx.CodeInvalid},
		"put: long key":              {tx.RecordPut{Key: strings.Repeat("k", tx.MaxKey+1)}, tx.CodeTooLarge},
		"put: a zero byte in key":    {tx.RecordPut{Key: "a\x00"}, tx.CodeInvalid},
		"put: long value":            {tx.RecordPut{Key: "k", Value: make([]byte, tx.MaxValue+1)}, tx.CodeTooLarge},
		"put: no namespace":          {tx.RecordPut{Namespace: "-", Key: "k"}, tx.CodeInvalid},
		"add: no key":                {tx.ValidatorAdd{}, tx.CodeInvalid},
		"add: anybody's key":         {tx.ValidatorAdd{Key: sig.PublicKey{1}}, tx.CodeInvalid},
		"add: a salt":                {tx.ValidatorAdd{Key: public, Salt: tx.Salt{1}}, tx.CodeInvalid},
		"replace: a salt":            {tx.ValidatorAdd{Key: public, Replaces: key(7).Public(), Salt: tx.Salt{1}}, tx.CodeInvalid},
		"add: long address":          {tx.ValidatorAdd{Key: public, Address: strings.Repeat("a", tx.MaxAddress+1)}, tx.CodeTooLarge},
		"remove: no key":             {tx.ValidatorRemove{}, tx.CodeInvalid},
		"set: no name":               {tx.ParamsSet{}, tx.CodeInvalid},
		"set: a value of 64 bits":    {tx.ParamsSet{Name: "a", Value: 1 << 63}, tx.CodeInvalid},
		"claim: right to left mark":  {tx.NameClaim{Name: "a", Target: "a\u202eb"}, tx.CodeInvalid},
	} {
		if got, err := tx.Sign(key(1), network, 1, c.op); got != nil || code(t, err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := tx.Sign(key(1), network, 1<<63, tx.NameClaim{Name: "a"}); code(t, err) != tx.CodeInvalid {
		t.Errorf("a nonce of 64 bits: %v", err)
	}
	if _, err := tx.New(network, sig.PublicKey{}, 1, tx.NameClaim{Name: "a"}, sig.Signature{}); code(t, err) != tx.CodeInvalid {
		t.Errorf("an owner for whom anybody can sign: %v", err)
	}
}

// Printable is what the package comment says, whatever the Unicode version.
func TestPrintable(t *testing.T) {
	refused := 0
	for r := range rune(0x11_0000) {
		if r >= 0xd800 && r < 0xe000 {
			continue // no characters, and not UTF-8
		}
		if (tx.NameClaim{Name: "a", Target: string(r)}).Validate() != nil {
			refused++
		}
	}
	const want = 32 + 33 + 2 + 1 + 1 + 2 + 5 + 4
	if refused != want {
		t.Errorf("%d characters are refused, want %d", refused, want)
	}
	for _, r := range "\x00\t\n\x1f\x7f\u0080\u009f\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff" {
		if (tx.NameClaim{Name: "a", Target: string(r)}).Validate() == nil {
			t.Errorf("%U is taken", r)
		}
	}
}

func TestVerifyAll(t *testing.T) {
	v := sig.NewVerifier(0)
	var all []*tx.Transaction
	var want []tx.Code
	add := func(t *tx.Transaction, c tx.Code) { all, want = append(all, t), append(want, c) }
	for i := range 40 {
		good := sign(t, key(i%5), uint64(i), tx.RecordPut{Key: fmt.Sprint(i)})
		add(good, tx.CodeOK)
		if i%9 == 0 {
			forged, err := tx.New(network, key(i+1).Public(), good.Nonce, good.Op, good.Signature)
			if err != nil {
				t.Fatal(err)
			}
			add(forged, tx.CodeBadSignature)
		}
		if i%13 == 0 {
			foreign, err := tx.Sign(key(i), [32]byte{1}, 1, good.Op)
			if err != nil {
				t.Fatal(err)
			}
			add(foreign, tx.CodeWrongNetwork)
		}
	}
	for i, err := range tx.VerifyAll(v, network, all) {
		if got := code(t, err); got != want[i] {
			t.Errorf("transaction %d: %v, want %s", i, err, want[i])
		}
		if got := code(t, all[i].Verify(v, network)); got != want[i] {
			t.Errorf("transaction %d, by itself: %s, want %s", i, got, want[i])
		}
	}
	if got := tx.VerifyAll(v, network, nil); len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
}

// Whatever byte of a transaction changes, it is refused: when it is decoded, or
// with its signature.
func TestEveryChangeIsNoticed(t *testing.T) {
	v := sig.NewVerifier(0)
	for i, op := range ops(t) {
		raw := sign(t, key(i), 1<<20, op).Raw()
		step := max(1, len(raw)/200)
		for at := 0; at < len(raw); at += step {
			changed := bytes.Clone(raw)
			changed[at] ^= 1
			out, err := tx.Decode(changed)
			if err == nil {
				err = out.Verify(v, network)
			}
			if err == nil {
				t.Errorf("%s: byte %d of %d can change", op.Type(), at, len(raw))
			}
		}
	}
}

func TestTypes(t *testing.T) {
	for _, op := range ops(t) {
		text, err := op.Type().MarshalText()
		var back tx.Type
		if err != nil || back.UnmarshalText(text) != nil || back != op.Type() {
			t.Errorf("%s becomes %s, %v", op.Type(), back, err)
		}
		governs := strings.HasPrefix(string(text), "validator.") || strings.HasPrefix(string(text), "params.")
		if op.Type().Governs() != governs {
			t.Errorf("%s governs: %v", op.Type(), !governs)
		}
	}
	for _, unknown := range []tx.Type{0, 10} {
		if _, err := unknown.MarshalText(); !errors.Is(err, tx.ErrType) || unknown.Valid() {
			t.Errorf("%s: %v", unknown, err)
		}
	}
}

func TestIDText(t *testing.T) {
	id := sign(t, key(1), 1, tx.NameClaim{Name: "a"}).ID()
	if got, err := tx.ParseID(id.String()); err != nil || got != id {
		t.Errorf("%s becomes %s, %v", id, got, err)
	}
	for _, s := range []string{"", id.String()[1:], strings.Repeat("A", 64), strings.Repeat("g", 64)} {
		if _, err := tx.ParseID(s); !errors.Is(err, tx.ErrID) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if got := tx.CID("no").String(); got != "6e6f" {
		t.Errorf("bytes that are no CID: %s", got)
	}
}

func TestCodes(t *testing.T) {
	names := map[string]bool{}
	for c := tx.CodeOK; c.Valid(); c++ {
		if names[c.String()] || strings.Contains(c.String(), "(") || c.Explain() == "" || strings.Contains(c.Explain(), "\n") {
			t.Errorf("code %d: %q, %q", c, c, c.Explain())
		}
		names[c.String()] = true
		text, err := c.MarshalText()
		var back tx.Code
		if err != nil || back.UnmarshalText(text) != nil || back != c {
			t.Errorf("%s becomes %s, %v", c, back, err)
		}
	}
	if len(names) != 22 {
		t.Errorf("%d codes", len(names))
	}
	unknown := tx.Code(200)
	if _, err := unknown.MarshalText(); !errors.Is(err, tx.ErrCode) || unknown.Explain() == "" || unknown.String() != "code(200)" {
		t.Errorf("an unknown code: %v", err)
	}
	if _, err := tx.ParseCode("no_such"); !errors.Is(err, tx.ErrCode) {
		t.Errorf("ParseCode: %v", err)
	}
	err := fmt.Errorf("executing: %w", tx.Reject(tx.CodeNameTaken, "%s is taken", "photos"))
	if c, ok := tx.CodeOf(err); !ok || c != tx.CodeNameTaken || err.Error() != "executing: name_taken: photos is taken" {
		t.Errorf("CodeOf: %v, %v of %v", c, ok, err)
	}
	if _, ok := tx.CodeOf(errors.New("disk full")); ok {
		t.Error("any error is a rejection")
	}
}
