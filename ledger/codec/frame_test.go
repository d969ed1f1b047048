package codec_test

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

func TestFramesRoundTrip(t *testing.T) {
	for _, draw := range frames {
		t.Run(name(rapid.Custom(draw).Example(0)), rapid.MakeCheck(func(t *rapid.T) {
			want := draw(t)
			b := codec.AppendFrame([]byte("before"), want)
			got, err := codec.DecodeFrame(bytes.TrimPrefix(b, []byte("before")), codec.Limits{})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		}))
	}
}

// A message of the core is a frame as it is: a byte more for each vote would be for
// nothing.
func TestMessagesAreFrames(t *testing.T) {
	for _, m := range examples(messages) {
		if _, ok := m.(*pbft.Proposal); ok {
			continue
		}
		f, err := codec.DecodeFrame(codec.AppendMessage(nil, m), codec.Limits{})
		if err != nil || !reflect.DeepEqual(f, codec.Frame(codec.Message{Message: m})) {
			t.Errorf("%v is the frame %+v, %v", m, f, err)
		}
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	p := &pbft.Proposal{View: 1, Header: pbft.Header{Epoch: 1, Seq: 2}}
	inline := codec.AppendFrame(nil, codec.Proposal{Proposal: p, Encoded: []byte{0}})
	ids := codec.AppendFrame(nil, codec.Proposal{Proposal: p, IDs: make([]tx.ID, 2)})
	want := codec.AppendFrame(nil, codec.Want{Root: pbft.Digest{1}, Seq: 300})
	body := codec.AppendFrame(nil, codec.Body{Root: pbft.Digest{1}, Encoded: []byte{0}})
	for name, b := range map[string][]byte{
		"nothing":                       nil,
		"no kind":                       {0},
		"a record":                      codec.AppendLogRecord(nil, codec.Accepted{}),
		"a block":                       {0x51},
		"a proposal without its body":   codec.AppendMessage(nil, p),
		"a proposal with an empty body": inline[:len(inline)-1],
		"half a proposal":               inline[:len(inline)-2],
		"a proposal without its IDs":    ids[:len(ids)-65],
		"an ID missing":                 ids[:len(ids)-32],
		"half an ID":                    ids[:len(ids)-1],
		"an ID too many":                append(bytes.Clone(ids), make([]byte, 32)...),
		"more IDs than a block":         append(wire.AppendUvarint(bytes.Clone(ids[:len(ids)-65]), tx.MaxBatch+1), make([]byte, 32*(tx.MaxBatch+1))...),
		"no transactions":               {0x43},
		"half a question":               want[:len(want)-1],
		"a question with more":          append(bytes.Clone(want), 0),
		"a question, not minimal":       append(bytes.Clone(want[:33]), 0x81, 0),
		"an answer without a body":      body[:len(body)-1],
		"half an answer":                body[:9],
	} {
		if f, err := codec.DecodeFrame(b, codec.Limits{}); !errors.Is(err, pbft.ErrMalformed) || f != nil {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// A ledger's limits are those of its parameters: each is met exactly, and one more is
// refused.
func TestFramesKeepTheLimits(t *testing.T) {
	p := genesis.DefaultParams()
	limits := codec.LimitsOf(&p, 4)
	if limits != (codec.Limits{BlockBytes: 1 << 20, Replicas: 4, Window: 8}) || limits.Frame() != 1<<20+64<<10 || limits.Frame() != p.MaxFrame() {
		t.Errorf("%+v, frames of %d bytes", limits, limits.Frame())
	}
	proposal := &pbft.Proposal{}
	content := func(n int) []byte { return make([]byte, n) }
	locks := func(n int) pbft.Message { return &pbft.ViewChange{Locks: make([]pbft.Lock, n)} }
	cert := func(n int) pbft.Message {
		c := pbft.Certificate{}
		for r := range n {
			c.Sigs = append(c.Sigs, pbft.Signed{Replica: quorum.Replica(r)})
		}
		return &pbft.Certified{Cert: c}
	}
	for name, frame := range map[string]func(more int) codec.Frame{
		"a proposal's body": func(more int) codec.Frame {
			return codec.Proposal{Proposal: proposal, Encoded: content(1<<20 + more)}
		},
		"an answer":    func(more int) codec.Frame { return codec.Body{Encoded: content(1<<20 + more)} },
		"transactions": func(more int) codec.Frame { return codec.Transactions{Encoded: content(1<<20 + more)} },
		"locks":        func(more int) codec.Frame { return codec.Message{Message: locks(8 + more)} },
		"signatures":   func(more int) codec.Frame { return codec.Message{Message: cert(4 + more)} },
		"view changes": func(more int) codec.Frame {
			return codec.Message{Message: &pbft.NewView{Changes: slicesOf(4+more, pbft.ViewChange{})}}
		},
	} {
		most, above := codec.AppendFrame(nil, frame(0)), codec.AppendFrame(nil, frame(1))
		if _, err := codec.DecodeFrame(most, limits); err != nil {
			t.Errorf("%s, as many as may be: %v", name, err)
		}
		if _, err := codec.DecodeFrame(above, limits); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%s, one more: %v", name, err)
		}
		if _, err := codec.DecodeFrame(above, codec.Limits{}); err != nil {
			t.Errorf("%s, one more, of a larger ledger: %v", name, err)
		}
	}
	if _, err := codec.DecodeFrame(content(limits.Frame()+1), limits); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a large frame: %v", err)
	}
}

// Bodies are not copied, and announced counts take no memory.
func TestFramesTakeNoMemory(t *testing.T) {
	p := &pbft.Proposal{}
	large := codec.AppendFrame(nil, codec.Proposal{Proposal: p, Encoded: make([]byte, 1<<20)})
	bytesFor := func(b []byte) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			_, _ = codec.DecodeFrame(b, codec.Limits{})
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / 100
	}
	if used := bytesFor(large); used > 4<<10 {
		t.Errorf("%d bytes allocated for a body of %d", used, 1<<20)
	}
	ids := codec.AppendFrame(nil, codec.Proposal{Proposal: p})
	ids = wire.AppendUvarint(ids[:len(ids)-1], tx.MaxBatch)
	if used := bytesFor(append(ids, make([]byte, 100)...)); used > 4<<10 {
		t.Errorf("%d bytes allocated for 100 of IDs", used)
	}
	f, err := codec.DecodeFrame(large, codec.Limits{})
	if x, ok := f.(codec.Proposal); err != nil || !ok || &x.Encoded[len(x.Encoded)-1] != &large[len(large)-1] {
		t.Errorf("the body is a copy, or %v", err)
	}
}

// What cannot be read again is not written.
func TestUnlawfulFramesAreNotWritten(t *testing.T) {
	for name, f := range map[string]codec.Frame{
		"a proposal without its body": codec.Message{Message: &pbft.Proposal{}},
		"an empty body":               codec.Proposal{Proposal: &pbft.Proposal{}, Encoded: []byte{}},
		"no transactions":             codec.Transactions{},
		"an answer without a body":    codec.Body{},
		"nothing":                     nil,
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is written")
				}
			}()
			codec.AppendFrame(nil, f)
		})
	}
}
