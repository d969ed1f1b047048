package consensus

import (
	"bytes"
	"errors"
	"testing"
)

func someHellos() [][]byte {
	return [][]byte{
		appendHello(nil, hello{class: Votes}),
		appendHello(nil, hello{class: Proposals, boot: 1, network: genesis}),
		appendHello(nil, hello{class: Bulk, boot: 1<<64 - 1, network: genesis}),
	}
}

func someReplies() [][]byte {
	replies := [][]byte{reply(refusal{code: codeWelcome})}
	replies = append(replies, reply(refusal{code: codeTaken, taken: 300}), reply(refusal{code: codeProbe}))
	for c := range reasons {
		r := refusal{code: c}
		if c == codeNetwork {
			r.network = genesis
		}
		replies = append(replies, reply(r))
	}
	return replies
}

func TestMalformedHandshakesAreRefused(t *testing.T) {
	good := someHellos()[0]
	for name, b := range map[string][]byte{
		"nothing":  {},
		"short":    good[:len(good)-1],
		"long":     append(bytes.Clone(good), 0),
		"class 3":  append([]byte{version, 3}, good[2:]...),
		"a letter": []byte("GET / HTTP/1.1"),
	} {
		want := ErrMalformed
		if name == "a letter" {
			want = ErrVersion
		}
		if _, err := parseHello(b); !errors.Is(err, want) {
			t.Errorf("hello, %s: %v, want %v", name, err, want)
		}
	}
	for name, b := range map[string][]byte{
		"nothing":       {},
		"left over":     {byte(codeWelcome), 0},
		"network short": {byte(codeNetwork), 1, 2},
		"unknown":       {byte(codeProbe) + 1},
		"taken nothing": {byte(codeTaken)},
	} {
		if _, err := parseReply(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("reply, %s: %v", name, err)
		}
	}
}

func TestRefusalsAreTheirReasons(t *testing.T) {
	for c, reason := range reasons {
		err := error(refusal{code: c})
		if !errors.Is(err, reason) {
			t.Errorf("code %d is not %v", c, reason)
		}
		if got, ok := codeOf(err); !ok || got != c {
			t.Errorf("%v has code %d, want %d", err, got, c)
		}
	}
	if _, ok := codeOf(errors.New("other")); ok {
		t.Error("any error has a code")
	}
}

// Whatever parses is written back as the same bytes.

func FuzzHello(f *testing.F) {
	for _, b := range someHellos() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			return
		}
		if got := appendHello(nil, h); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, h, got)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, b := range someReplies() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b)
		if err != nil {
			return
		}
		if got := reply(r); !bytes.Equal(got, b) {
			t.Errorf("%x is %+v, which is written as %x", b, r, got)
		}
	})
}
