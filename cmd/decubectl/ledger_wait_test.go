package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/ledgertest"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/tx"
)

// Whenever the user interrupts the wait for a transaction, it is told which one it is,
// that it may still be committed, and how to find out.
func TestInterruptedSubmit(t *testing.T) {
	id := tx.ID{1, 2, 3}
	for _, at := range []int{1, 2} { // the request in which it is interrupted
		ctx, interrupt := context.WithCancel(t.Context())
		requests := 0
		daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil { // what comes after it shows who is gone
				t.Error(err)
			}
			if requests++; requests == at {
				interrupt()
			}
			if requests == 2 {
				<-r.Context().Done() // it is in no block
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusAccepted)
			if err := json.NewEncoder(w).Encode(api.Submitted{ID: id, Seconds: 1, Transaction: []byte("signed")}); err != nil {
				t.Error(err)
			}
		}))
		dir := filepath.Join(t.TempDir(), "repo")
		if err := repo.Init(dir, repo.Seed{Identity: ledgertest.Key('n').Encode()}); err != nil {
			t.Fatal(err)
		}
		c, err := client.New(client.Options{Repo: dir, URL: daemon.URL})
		if err != nil {
			t.Fatal(err)
		}
		done, err := handIn(ctx, c, api.SubmitRequest{Operation: []byte(`{}`)}, client.Wait{})
		daemon.CloseClientConnections()
		daemon.Close()
		interrupt()
		if err == nil || exitcode.Of(err) != exitcode.Failed || done.ID != id || requests != at {
			t.Fatalf("in request %d of %d: %v, exit code %d", at, requests, err, exitcode.Of(err))
		}
		text := explain(ctx, err).Error()
		for _, want := range []string{"interrupted", "transaction " + id.String() + " was handed in and may still get into a block", `"decubectl ledger tx ` + id.String() + `"`} {
			if !strings.Contains(text, want) {
				t.Errorf("in request %d: %q does not say %q", at, text, want)
			}
		}
	}
}
