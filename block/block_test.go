package block_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/decube/decube/block"
)

func TestIDForms(t *testing.T) {
	for _, codec := range []block.Codec{block.Raw, block.DagCBOR} {
		b := block.New(codec, []byte("some bytes"))
		id := b.ID()
		fromText, err := block.Parse(id.String())
		if err != nil || fromText != id {
			t.Errorf("Parse(%s) = %v, %v", id, fromText, err)
		}
		fromBytes, err := block.FromBytes(id.Bytes())
		if err != nil || fromBytes != id {
			t.Errorf("FromBytes = %v, %v", fromBytes, err)
		}
		if got := id.CID().Bytes(); !bytes.Equal(got, id.Bytes()) {
			t.Errorf("CID bytes % x, ID bytes % x", got, id.Bytes())
		}
		if _, err := block.Check(id, []byte("some bytes")); err != nil {
			t.Error(err)
		}
		if _, err := block.Check(id, []byte("same bytes")); !errors.Is(err, block.ErrMismatch) {
			t.Errorf("Check of other bytes: %v", err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	digest, err := mh.Sum([]byte("x"), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	long, err := mh.Sum([]byte("x"), mh.SHA2_512, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"empty", "", block.ErrSyntax},
		{"words", "not a cid", block.ErrSyntax},
		{"cut short", "bafkreih", block.ErrSyntax},
		{"very long", strings.Repeat("z", 1<<20), block.ErrSyntax},
		{"CIDv0", cid.NewCidV0(digest).String(), block.ErrUnsupported},
		{"dag-pb", cid.NewCidV1(cid.DagProtobuf, digest).String(), block.ErrUnsupported},
		{"sha2-512", cid.NewCidV1(cid.Raw, long).String(), block.ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := block.Parse(tc.in)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if len(err.Error()) > 600 {
				t.Errorf("the message has %d characters", len(err.Error()))
			}
		})
	}
}

func TestCheckRefusesOversized(t *testing.T) {
	big := make([]byte, block.MaxSize+1)
	if _, err := block.Check(block.New(block.Raw, big).ID(), big); !errors.Is(err, block.ErrMismatch) {
		t.Fatalf("got %v", err)
	}
}

func FuzzFromBytes(f *testing.F) {
	f.Add(block.New(block.Raw, nil).ID().Bytes())
	f.Add([]byte{1, 0x70, 0x12, 0x20})
	f.Fuzz(func(t *testing.T, in []byte) {
		id, err := block.FromBytes(in)
		if err == nil && !bytes.Equal(id.Bytes(), in) {
			t.Fatalf("% x became % x", in, id.Bytes())
		}
	})
}
