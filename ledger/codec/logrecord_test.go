package codec_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

func TestLogRecordsRoundTrip(t *testing.T) {
	kinds := map[byte]string{}
	for _, draw := range logRecords {
		example := rapid.Custom(draw).Example(0)
		kind := codec.AppendLogRecord(nil, example)[0]
		if other, used := kinds[kind]; used {
			t.Errorf("%s and %s begin with 0x%02x", other, name(example), kind)
		}
		kinds[kind] = name(example)
		t.Run(name(example), rapid.MakeCheck(func(t *rapid.T) {
			want := draw(t)
			b := codec.AppendLogRecord([]byte("before"), want)
			got, err := codec.DecodeLogRecord(bytes.TrimPrefix(b, []byte("before")))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		}))
	}
}

// The log holds of the core's records all that there is to them, with or without
// a body beside them.
func TestLogRecordsMirrorTheCores(t *testing.T) {
	for _, draw := range records {
		t.Run(name(rapid.Custom(draw).Example(0)), rapid.MakeCheck(func(t *rapid.T) {
			want, body := draw(t), drawBody(t)
			r, err := codec.DecodeLogRecord(codec.AppendLogRecord(nil, codec.LogRecordOf(want, body)))
			if err != nil {
				t.Fatal(err)
			}
			if got := codec.CoreRecord(r); !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
			switch r := r.(type) {
			case codec.Accepted:
				if !bytes.Equal(r.Body, body) {
					t.Fatalf("body %x, want %x", r.Body, body)
				}
			case codec.Decided:
				if !bytes.Equal(r.Body, body) {
					t.Fatalf("body %x, want %x", r.Body, body)
				}
			}
		}))
	}
	if got := codec.CoreRecord(codec.Renewal{}); got != nil {
		t.Errorf("a renewal is the core's %+v", got)
	}
}

// A record without its body is refused when it is cut short; with one, the body
// ends where the bytes do, and is never larger than a block's may be.
func TestLogRecordLengths(t *testing.T) {
	header := pbft.Header{Epoch: 1, Seq: 2}
	for _, r := range []codec.LogRecord{
		codec.Accepted{View: 3, Header: header},
		codec.Decided{Decision: &pbft.Decision{Header: header, Cert: signed(0, 1, 2)}},
		codec.Prepared{Lock: pbft.Lock{Header: header, Cert: signed(0, 1, 2)}},
		codec.Renewal{Salt: [16]byte{1}, ID: tx.ID{2}},
	} {
		b := codec.AppendLogRecord(nil, r)
		for n := range len(b) {
			if _, err := codec.DecodeLogRecord(b[:n:n]); !errors.Is(err, pbft.ErrMalformed) {
				t.Fatalf("%s cut to %d of %d bytes: %v", name(r), n, len(b), err)
			}
		}
	}
	accepted := codec.AppendLogRecord(nil, codec.Accepted{View: 3, Header: header})
	most := append(bytes.Clone(accepted), make([]byte, tx.MaxBatchSize)...)
	r, err := codec.DecodeLogRecord(most)
	if a, ok := r.(codec.Accepted); err != nil || !ok || len(a.Body) != tx.MaxBatchSize || &a.Body[0] != &most[len(accepted)] {
		t.Errorf("the largest body: %v, or it is a copy", err)
	}
	if _, err := codec.DecodeLogRecord(append(most, 0)); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a body that is too large: %v", err)
	}
	renewal := codec.AppendLogRecord(nil, codec.Renewal{})
	if _, err := codec.DecodeLogRecord(append(renewal, 0)); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a renewal with a byte too many: %v", err)
	}
	for _, b := range [][]byte{nil, {0}, {0x21}, {0x37}} {
		if _, err := codec.DecodeLogRecord(b); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// Whatever a replica has to log fits a record.
func TestTheLargestLogRecords(t *testing.T) {
	header := pbft.Header{Epoch: wire.MaxUvarint, Seq: wire.MaxUvarint}
	cert := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: wire.MaxUvarint, View: wire.MaxUvarint, Seq: wire.MaxUvarint}}
	for r := range quorum.Replica(quorum.MaxReplicas) {
		cert.Sigs = append(cert.Sigs, pbft.Signed{Replica: r})
	}
	body := make([]byte, tx.MaxBatchSize)
	for _, r := range []codec.LogRecord{
		codec.Accepted{View: wire.MaxUvarint, Header: header, Body: body},
		codec.Decided{Decision: &pbft.Decision{Header: header, Cert: cert}, Body: body},
		codec.Entered{NewView: largest(quorum.MaxReplicas, pbft.MaxWindow)},
		codec.Change{Change: largest(quorum.MaxReplicas, pbft.MaxWindow).Changes[0]},
	} {
		if n := len(codec.AppendLogRecord(nil, r)); n > codec.MaxLogRecord {
			t.Errorf("%s: %d bytes, at most %d", name(r), n, codec.MaxLogRecord)
		}
	}
	if got := len(codec.AppendCertificate(nil, &cert)); got != 1+pbft.MaxCertificate(quorum.MaxReplicas) {
		t.Errorf("the largest certificate has %d bytes, want %d", got, 1+pbft.MaxCertificate(quorum.MaxReplicas))
	}
}
