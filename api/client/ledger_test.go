package client_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// How long to wait is asked for as the caller wants it, and no longer than a node
// waits.
func TestSubmitAsksToWait(t *testing.T) {
	var query string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"committed":false}`))
	})
	c := dial(t, newRepo(t), url)
	for _, tc := range []struct {
		wait client.Wait
		want string
	}{
		{client.Wait{}, ""},
		{client.Wait{Not: true}, "wait=false"},
		{client.Wait{Timeout: 1500 * time.Millisecond}, "timeout=1.5"},
		{client.Wait{Timeout: time.Hour}, "timeout=600"},
	} {
		got, err := c.SubmitOp(t.Context(), tx.NameClaim{Name: "x"}, tc.wait)
		if err != nil || got.Committed || query != tc.want {
			t.Errorf("%+v: asked %q, want %q; %+v, %v", tc.wait, query, tc.want, got, err)
		}
	}
}

// A node is not trusted with the client's memory, nor to send a document that is one.
func TestFilesAreBounded(t *testing.T) {
	var body []byte
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	c := dial(t, newRepo(t), url)
	body = bytes.Repeat([]byte(" "), receipt.MaxSize+1)
	if _, err := c.Receipt(t.Context(), tx.ID{}); !errors.Is(err, api.ErrTooLarge) {
		t.Errorf("a large receipt: %v", err)
	}
	body = body[:receipt.MaxSize]
	if got, err := c.Receipt(t.Context(), tx.ID{}); err != nil || len(got) != receipt.MaxSize {
		t.Errorf("the largest receipt: %d bytes, %v", len(got), err)
	}
	if _, err := c.Genesis(t.Context()); !errors.Is(err, api.ErrTooLarge) {
		t.Errorf("a large genesis: %v", err)
	}
	body = []byte("{}")
	if _, err := c.Genesis(t.Context()); !errors.Is(err, genesis.ErrInvalid) || !strings.Contains(err.Error(), url) {
		t.Errorf("no genesis: %v", err)
	}
}
