package codec_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

func TestMessagesRoundTrip(t *testing.T) {
	for _, draw := range messages {
		t.Run(name(rapid.Custom(draw).Example(0)), rapid.MakeCheck(func(t *rapid.T) {
			want := draw(t)
			b := codec.AppendMessage([]byte("before"), want)
			got, err := codec.DecodeMessage(bytes.TrimPrefix(b, []byte("before")))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		}))
	}
}

func TestEvidenceRoundTrips(t *testing.T) {
	for _, draw := range evidence {
		rapid.Check(t, func(t *rapid.T) {
			want := draw(t)
			got, err := codec.DecodeEvidence(codec.AppendEvidence(nil, want))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestCertificatesAndDecisionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cert, decision := drawCert(t), drawDecision(t)
		c, err := codec.DecodeCertificate(codec.AppendCertificate(nil, &cert))
		if err != nil || !reflect.DeepEqual(*c, cert) {
			t.Fatalf("got %+v, %v, want %+v", c, err, cert)
		}
		b := codec.AppendDecision(nil, decision)
		d, err := codec.DecodeDecision(b)
		if err != nil || !reflect.DeepEqual(d, decision) {
			t.Fatalf("got %+v, %v, want %+v", d, err, decision)
		}
		if m, err := codec.DecodeMessage(b); err != nil || !reflect.DeepEqual(m, pbft.Message(decision)) {
			t.Fatalf("as a message: %+v, %v", m, err)
		}
	})
}

// Every encoding that is cut short, or longer than it should be, is refused.
func TestLengthIsExact(t *testing.T) {
	check := func(what string, b []byte, decode func([]byte) error) {
		t.Helper()
		for n := range len(b) {
			if err := decode(b[:n:n]); !errors.Is(err, pbft.ErrMalformed) {
				t.Fatalf("%s cut to %d of %d bytes: %v", what, n, len(b), err)
			}
		}
		if err := decode(append(bytes.Clone(b), 0)); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%s with a byte too many: %v", what, err)
		}
	}
	for _, m := range examples(messages) {
		check(name(m), codec.AppendMessage(nil, m), func(b []byte) error { _, err := codec.DecodeMessage(b); return err })
	}
}

// signed returns a certificate with the signatures of the replicas given.
func signed(replicas ...quorum.Replica) pbft.Certificate {
	c := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: 1, View: 2, Seq: 3}}
	for _, r := range replicas {
		c.Sigs = append(c.Sigs, pbft.Signed{Replica: r, Sig: pbft.Signature{byte(r)}})
	}
	return c
}

func TestMalformedValuesAreRefused(t *testing.T) {
	header := pbft.Header{Epoch: 1, Seq: 1}
	cert := func(c pbft.Certificate) []byte {
		return codec.AppendMessage(nil, &pbft.Decision{Header: header, Cert: c})
	}
	vote := codec.AppendMessage(nil, &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: 1}})
	change := func(at int, v byte) []byte {
		b := bytes.Clone(vote)
		b[at] = v
		return b
	}
	var everybody []quorum.Replica
	for r := range quorum.Replica(quorum.MaxReplicas) {
		everybody = append(everybody, r)
	}
	if _, err := codec.DecodeMessage(cert(signed(everybody...))); err != nil {
		t.Errorf("the largest committee's certificate: %v", err)
	}
	for name, b := range map[string][]byte{
		"nothing":               {},
		"no kind":               {0},
		"a record's kind":       {0x21},
		"vote of phase 0":       change(1, 0),
		"vote of phase 4":       change(1, 4),
		"not minimal":           append([]byte{0x01, 1, 0x81, 0x00}, vote[3:]...),
		"signers descend":       cert(signed(2, 1)),
		"signer twice":          cert(signed(1, 1)),
		"no such replica":       cert(signed(quorum.MaxReplicas)),
		"too many signers":      cert(signed(append(everybody, quorum.MaxReplicas)...)),
		"certificate's phase":   cert(pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Checkpoint + 1}}),
		"epoch beyond a varint": codec.AppendMessage(nil, &pbft.Proposal{Header: pbft.Header{Epoch: math.MaxUint64}}),
		"seq beyond a varint":   codec.AppendMessage(nil, &pbft.Proposal{Header: pbft.Header{Seq: wire.MaxUvarint + 1}}),
		"too many locks":        codec.AppendMessage(nil, &pbft.ViewChange{Locks: make([]pbft.Lock, pbft.MaxWindow+1)}),
		"too many changes":      codec.AppendMessage(nil, &pbft.NewView{Changes: slicesOf(quorum.MaxReplicas+1, pbft.ViewChange{})}),
	} {
		if m, err := codec.DecodeMessage(b); !errors.Is(err, pbft.ErrMalformed) || m != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := codec.DecodeLogRecord(vote); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a message as a log record: %v", err)
	}
	if _, err := codec.DecodeCertificate(vote); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a message as a certificate: %v", err)
	}
	if _, err := codec.DecodeEvidence(vote); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a message as evidence: %v", err)
	}
	if _, err := codec.DecodeDecision(vote); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a vote as a decision: %v", err)
	}
}

func slicesOf[V any](n int, v V) []*V {
	out := make([]*V, n)
	for i := range out {
		out[i] = &v
	}
	return out
}

// A count takes no memory that the bytes do not fill.
func TestAnnouncedCountsTakeNoMemory(t *testing.T) {
	b := codec.AppendMessage(nil, &pbft.ViewChange{})
	b = append(b[:len(b)-65], 63)             // 63 locks,
	b = append(b, bytes.Repeat(b[:9], 20)...) // in 180 bytes
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := codec.DecodeMessage(b); !errors.Is(err, pbft.ErrMalformed) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / 100; took > 4<<10 {
		t.Errorf("%d bytes allocated for %d", took, len(b))
	}
}

func TestSizesAreAsDocumented(t *testing.T) {
	subject := pbft.Subject{Phase: pbft.Commit, Epoch: 127, View: 127, Seq: 1<<14 - 1}
	header := pbft.Header{Epoch: 127, Seq: 1<<14 - 1}
	cert := func(q int) pbft.Certificate { return pbft.Certificate{Subject: subject, Sigs: make([]pbft.Signed, q)} }
	locks := func(k, q int) []pbft.Lock {
		out := make([]pbft.Lock, k)
		for i := range out {
			out[i] = pbft.Lock{Header: header, Cert: cert(q)}
		}
		return out
	}
	for _, c := range []struct {
		m    pbft.Message
		want int
	}{
		{&pbft.Vote{Subject: subject, Replica: 127}, 135},
		{&pbft.Proposal{View: 127, Header: header}, 254},
		{&pbft.Decision{Header: header, Cert: cert(3)}, 454},
		{&pbft.Decision{Header: header, Cert: cert(7)}, 714},
		{&pbft.ViewChange{Epoch: 127, View: 127, Base: cert(3)}, 139 + 65*3},
		{&pbft.ViewChange{Epoch: 127, View: 127, Base: cert(3), Locks: locks(8, 3)}, 139 + 65*3 + 8*(258+65*3)},
		{&pbft.Status{Epoch: 127, View: 127, Committed: subject.Seq, Stable: subject.Seq}, 73},
	} {
		if got := len(codec.AppendMessage(nil, c.m)); got != c.want {
			t.Errorf("%T takes %d bytes, want %d", c.m, got, c.want)
		}
	}
	proposal := &pbft.Proposal{View: 127, Header: header}
	for _, c := range []struct {
		f    codec.Frame
		want int
	}{
		{codec.Message{Message: &pbft.Vote{Subject: subject, Replica: 127}}, 135},
		{codec.Proposal{Proposal: proposal, Encoded: make([]byte, 1000)}, 254 + 1000},
		{codec.Proposal{Proposal: proposal, IDs: make([]tx.ID, 100)}, 255 + 32*100},
		{codec.Transactions{Encoded: make([]byte, 1000)}, 1 + 1000},
		{codec.Want{Seq: 1<<14 - 1}, 35},
		{codec.Body{Encoded: make([]byte, 1000)}, 33 + 1000},
	} {
		if got := len(codec.AppendFrame(nil, c.f)); got != c.want {
			t.Errorf("%T takes %d bytes, want %d", c.f, got, c.want)
		}
	}
	for _, c := range []struct {
		r    codec.LogRecord
		want int
	}{
		{codec.Accepted{View: 127, Header: header, Body: make([]byte, 1000)}, 190 + 1000},
		{codec.Prepared{Lock: pbft.Lock{Header: header, Cert: cert(3)}}, 259 + 65*3},
		{codec.Decided{Decision: &pbft.Decision{Header: header, Cert: cert(3)}}, 259 + 65*3},
		{codec.Renewal{}, 50},
	} {
		if got := len(codec.AppendLogRecord(nil, c.r)); got != c.want {
			t.Errorf("%T takes %d bytes, want %d", c.r, got, c.want)
		}
	}
	for n, want := range map[int]int{4: 6710, 7: 9821, 31: 34709, 64: 68930, 128: 135308, 256: 269324} {
		if got := len(codec.AppendMessage(nil, largest(n, 8))); got != want {
			t.Errorf("the largest NEW-VIEW of %d replicas takes %d bytes, want %d", n, got, want)
		}
	}
}

func BenchmarkVote(b *testing.B) {
	v := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: 1, View: 2, Seq: 300_000}, Replica: 3}
	buf := codec.AppendMessage(nil, v)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = codec.AppendMessage(buf[:0], v)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := codec.DecodeMessage(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
