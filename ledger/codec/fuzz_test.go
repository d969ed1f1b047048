package codec_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/ledger/codec"
)

// Whatever decodes is written back as the same bytes.

func FuzzMessage(f *testing.F) {
	for _, m := range examples(messages) {
		f.Add(codec.AppendMessage(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := codec.DecodeMessage(b)
		if err != nil {
			return
		}
		if got := codec.AppendMessage(nil, m); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, m, got)
		}
	})
}

func FuzzLogRecord(f *testing.F) {
	for _, r := range examples(logRecords) {
		f.Add(codec.AppendLogRecord(nil, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := codec.DecodeLogRecord(b)
		if err != nil {
			return
		}
		if got := codec.AppendLogRecord(nil, r); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, r, got)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	for _, c := range []int{0, 1, 3} {
		cert := signed(0, 1, 255)
		cert.Sigs = cert.Sigs[:c]
		f.Add(codec.AppendCertificate(nil, &cert))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := codec.DecodeCertificate(b)
		if err != nil {
			return
		}
		if got := codec.AppendCertificate(nil, c); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, c, got)
		}
	})
}

func FuzzEvidence(f *testing.F) {
	for _, e := range examples(evidence) {
		f.Add(codec.AppendEvidence(nil, e))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := codec.DecodeEvidence(b)
		if err != nil {
			return
		}
		if got := codec.AppendEvidence(nil, e); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, e, got)
		}
	})
}

func FuzzFrame(f *testing.F) {
	for _, x := range examples(frames) {
		f.Add(codec.AppendFrame(nil, x))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := codec.DecodeFrame(b, codec.Limits{})
		if err != nil {
			return
		}
		if got := codec.AppendFrame(nil, x); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, x, got)
		}
	})
}

func FuzzBlock(f *testing.F) {
	for seed := range 4 {
		f.Add(codec.AppendBlock(nil, rapid.Custom(drawBlock).Example(seed)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := codec.DecodeBlock(b, codec.Limits{})
		if err != nil {
			return
		}
		if got := codec.AppendBlock(nil, x); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, x, got)
		}
	})
}

func FuzzHead(f *testing.F) {
	for seed := range 4 {
		f.Add(codec.AppendHead(nil, rapid.Custom(drawHead).Example(seed)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := codec.DecodeHead(b)
		if err != nil {
			return
		}
		if got := codec.AppendHead(nil, h); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, h, got)
		}
	})
}

func FuzzHop(f *testing.F) {
	for seed := range 4 {
		x := rapid.Custom(drawHop).Example(seed)
		f.Add(codec.AppendHop(nil, &x))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := codec.DecodeHop(b)
		if err != nil {
			return
		}
		if got := codec.AppendHop(nil, x); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, x, got)
		}
	})
}
