package ledgerapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/ledgertest"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/ledgerapi"
	"github.com/decube/decube/api/server/servertest"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// withLedger returns a server in front of a ledger.
func withLedger(t *testing.T) (*ledgertest.Ledger, http.Handler) {
	t.Helper()
	l := ledgertest.New(t, "test")
	return l, served(t, ledgerapi.Group(l, l.Genesis)).Handler()
}

// served returns a server of the operations on a ledger.
func served(t *testing.T, g server.Group) *server.Server {
	t.Helper()
	return servertest.New(t, new(servertest.Node), servertest.Config(), g)
}

// decode returns the body of an answer.
func decode[T any](t *testing.T, body []byte) (out T) {
	t.Helper()
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return out
}

// held is the root of a snapshot.
var held = block.New(block.Raw, []byte("a block")).ID()

const claim = `{"operation":{"type":"name.claim","name":"photos","target":"x"}}`

func TestSubmitOperation(t *testing.T) {
	l, h := withLedger(t)
	w := servertest.Request(t, h, "POST", api.Prefix+"/transactions", claim, nil)
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	got := decode[api.Submitted](t, w.Body.Bytes())
	if !got.Committed || got.Block != 1 || got.Owner != l.Key.Public() || got.Time == nil {
		t.Errorf("%s", w.Body)
	}
	location := w.Header().Get("Location")
	if location != api.Prefix+"/transactions/"+got.ID.String() {
		t.Errorf("Location %q", location)
	}
	w = servertest.Request(t, h, "GET", location, "", nil)
	read := decode[api.Transaction](t, w.Body.Bytes())
	if read.ID != got.ID || read.Block != 1 || read.Summary != `claim name photos for "x"` ||
		string(read.Operation) != `{"type":"name.claim","name":"photos","target":"x"}` {
		t.Errorf("%s", w.Body)
	}
	if again, err := tx.Decode(read.Encoding); err != nil || again.ID() != got.ID {
		t.Errorf("the encoding: %v", err)
	}
}

func TestSubmitSigned(t *testing.T) {
	l, h := withLedger(t)
	signed, err := tx.Sign(ledgertest.Key('a'), [32]byte(l.Genesis.ID()), 0, tx.NameClaim{Name: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"transaction":%q}`, base64.StdEncoding.EncodeToString(signed.Raw()))
	for range 2 { // handing in again changes nothing
		got := decode[api.Submitted](t, servertest.Request(t, h, "POST", api.Prefix+"/transactions", body, nil).Body.Bytes())
		if got.ID != signed.ID() || got.Block != 1 || got.Owner != signed.Owner {
			t.Errorf("%+v", got)
		}
	}
}

// A committed vote comes with how its change stands; nothing else does.
func TestSubmitVote(t *testing.T) {
	_, h := withLedger(t)
	vote := `{"operation":{"type":"params.set","name":"nonce_window","value":7}}`
	for i, want := range []api.Vote{{Votes: 1, Needed: 3, Missing: 2}, {Votes: 2, Needed: 3, Missing: 1}, {InEffect: true, Needed: 3}} {
		got := decode[api.Submitted](t, servertest.Request(t, h, "POST", api.Prefix+"/transactions", vote, nil).Body.Bytes())
		if got.Vote == nil || *got.Vote != want {
			t.Errorf("vote %d: %+v, want %+v", i, got.Vote, want)
		}
	}
	if got := decode[api.Submitted](t, servertest.Request(t, h, "POST", api.Prefix+"/transactions", claim, nil).Body.Bytes()); got.Vote != nil {
		t.Errorf("a claim: %+v", got.Vote)
	}
}

// What is not decided in time is accepted, neither a success nor a failure.
func TestSubmitUndecided(t *testing.T) {
	l, h := withLedger(t)
	l.Stall("2 of 4 validators are out of reach, 3 are needed")
	for _, query := range []string{"?timeout=0.01", "?wait=false"} {
		w := servertest.Request(t, h, "POST", api.Prefix+"/transactions"+query, claim, nil)
		got := decode[api.Submitted](t, w.Body.Bytes())
		if w.Code != 202 || got.Committed || got.ID == (tx.ID{}) || got.Block != 0 || got.Time != nil {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	st := decode[api.LedgerStatus](t, servertest.Request(t, h, "GET", api.Prefix+"/ledger/status", "", nil).Body.Bytes())
	if !strings.Contains(st.Problem, "out of reach") {
		t.Errorf("%+v", st)
	}
}

func TestLedgerProblems(t *testing.T) {
	l, h := withLedger(t)
	for i := range 3 {
		if _, _, err := l.Do(t.Context(), tx.NameClaim{Name: fmt.Sprint("mine", i)}); err != nil {
			t.Fatal(err)
		}
	}
	l.Prune(1)
	stranger := func(network [32]byte, nonce uint64, op tx.Op) string {
		signed, err := tx.Sign(ledgertest.Key('a'), network, nonce, op)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"transaction":%q}`, base64.StdEncoding.EncodeToString(signed.Raw()))
	}
	home := [32]byte(l.Genesis.ID())
	id := held.String()
	for _, tc := range []struct {
		name, method, path, body string
		want                     int
		code                     api.Code
		rejection                string
	}{
		{"no body", "POST", "/transactions", "{}", 400, api.CodeInvalid, ""},
		{"both", "POST", "/transactions", `{"operation":{"type":"name.claim"},"transaction":"AAAA"}`, 400, api.CodeInvalid, ""},
		{"unknown field", "POST", "/transactions", `{"op":{}}`, 422, api.CodeInvalid, ""},
		{"unknown operation", "POST", "/transactions", `{"operation":{"type":"name.steal"}}`, 422, api.CodeRejected, "malformed"},
		{"unknown field of an operation", "POST", "/transactions", `{"operation":{"type":"name.claim","names":"x"}}`, 422, api.CodeRejected, "malformed"},
		{"bad name", "POST", "/transactions", `{"operation":{"type":"name.claim","name":"?","target":""}}`, 422, api.CodeRejected, "invalid"},
		{"rubbish", "POST", "/transactions", `{"transaction":"AAAA"}`, 422, api.CodeRejected, "malformed"},
		{"not base64", "POST", "/transactions", `{"transaction":"?"}`, 422, api.CodeInvalid, ""},
		{"another network", "POST", "/transactions", stranger([32]byte{1}, 0, tx.NameClaim{Name: "x"}), 422, api.CodeRejected, "wrong_network"},
		{"name taken", "POST", "/transactions", stranger(home, 0, tx.NameClaim{Name: "mine0"}), 409, api.CodeRejected, "name_taken"},
		{"wait too long", "POST", fmt.Sprintf("/transactions?timeout=%d", int(api.MaxWait.Seconds())+1), claim, 422, api.CodeInvalid, ""},
		{"no ID", "GET", "/transactions/abc", "", 422, api.CodeInvalid, ""},
		{"unknown transaction", "GET", "/transactions/" + strings.Repeat("0", 64), "", 404, api.CodeNotFound, ""},
		{"unknown transaction's receipt", "GET", "/transactions/" + strings.Repeat("0", 64) + "/proof", "", 404, api.CodeNotFound, ""},
		{"not registered", "GET", "/snapshots/" + id + "/receipt", "", 404, api.CodeNotFound, ""},
		{"owner is no peer ID", "GET", "/snapshots/" + id + "/receipt?owner=me", "", 422, api.CodeInvalid, ""},
		{"block 0", "GET", "/blocks/0", "", 400, api.CodeInvalid, ""},
		{"block by name", "GET", "/blocks/last", "", 400, api.CodeInvalid, ""},
		{"block to come", "GET", "/blocks/99", "", 404, api.CodeNotFound, ""},
		{"pruned block", "GET", "/blocks/1", "", 404, api.CodeNotFound, ""},
		{"too many blocks", "GET", "/blocks?limit=101", "", 422, api.CodeInvalid, ""},
		{"unknown name", "GET", "/names/nobodys", "", 404, api.CodeNotFound, ""},
		{"no key", "GET", "/accounts/me", "", 422, api.CodeInvalid, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := servertest.Request(t, h, tc.method, api.Prefix+tc.path, tc.body, nil)
			servertest.WantProblem(t, w, tc.want, tc.code)
			p := decode[api.Problem](t, w.Body.Bytes())
			if tc.rejection == "" {
				return
			}
			if p.Rejection == nil || p.Rejection.Code != tc.rejection || p.Rejection.Detail == "" || p.Rejection.Explain == "" {
				t.Errorf("%s", w.Body)
			}
		})
	}
}

// A swarm without a ledger says so, whatever is asked.
func TestNoLedger(t *testing.T) {
	h := served(t, ledgerapi.None()).Handler()
	id, zero := held.String(), strings.Repeat("0", 64)
	for _, path := range []string{
		"/ledger/status", "/ledger/genesis", "/validators", "/blocks", "/blocks/latest", "/transactions/" + zero,
		"/transactions/" + zero + "/proof", "/snapshots/" + id + "/receipt", "/names/x", "/accounts/" + ledgertest.Key(1).Public().String(),
	} {
		servertest.WantProblem(t, servertest.Request(t, h, "GET", api.Prefix+path, "", nil), 404, api.CodeNoLedger)
	}
	w := servertest.Request(t, h, "POST", api.Prefix+"/transactions", claim, nil)
	servertest.WantProblem(t, w, 404, api.CodeNoLedger)
	if !strings.Contains(w.Body.String(), "genesis create") {
		t.Errorf("does not say what to do: %s", w.Body)
	}
	if w := servertest.Request(t, h, "GET", api.Prefix+"/blocks/stream", "", nil); !strings.Contains(w.Body.String(), `"code":"no_ledger"`) {
		t.Errorf("%s", w.Body)
	}
}

// Everything about the ledger that the client can ask for, over a socket.
func TestClientOfLedger(t *testing.T) {
	l := ledgertest.New(t, "test")
	dir, _, stop := servertest.Run(t, served(t, ledgerapi.Group(l, l.Genesis)))
	c := servertest.Dial(t, dir, "")
	ctx := t.Context()

	op := tx.SnapshotRegister{Root: held.Bytes(), Size: 7, Label: "x"}
	done, err := c.SubmitOp(ctx, op, client.Wait{Timeout: time.Hour})
	if err != nil || !done.Committed || done.Block != 1 {
		t.Fatalf("SubmitOp: %+v, %v", done, err)
	}
	_, err = c.SubmitOp(ctx, op, client.Wait{})
	if code, ok := tx.CodeOf(err); !ok || code != tx.CodeAlreadyRegistered || !errors.Is(err, api.ErrRejected) {
		t.Errorf("again: %v", err)
	}
	l.Stall("nobody votes")
	if got, err := c.SubmitOp(ctx, tx.NameClaim{Name: "photos"}, client.Wait{Timeout: time.Millisecond}); err != nil || got.Committed {
		t.Errorf("while nobody votes: %+v, %v", got, err)
	}
	if got, err := c.SubmitOp(ctx, tx.NameClaim{Name: "photos"}, client.Wait{Not: true}); err != nil || got.Committed {
		t.Errorf("without waiting: %+v, %v", got, err)
	}
	l.Stall("")
	if _, err := c.SubmitOp(ctx, tx.NameClaim{Name: "photos", Target: "x"}, client.Wait{}); err != nil {
		t.Error(err)
	}
	if got, err := c.Transaction(ctx, done.ID); err != nil || got.Block != 1 || got.Owner != l.Key.Public() {
		t.Errorf("Transaction: %+v, %v", got, err)
	}
	if got, err := c.Name(ctx, "photos"); err != nil || got.Owner != l.Key.Public() || got.Target != "x" || got.Block != 2 {
		t.Errorf("Name: %+v, %v", got, err)
	}
	if got, err := c.Account(ctx, l.Key.Public()); err != nil || got.NextNonce != 2 {
		t.Errorf("Account: %+v, %v", got, err)
	}
	if got, err := c.LedgerStatus(ctx); err != nil || got.Committed != 2 || got.Genesis != l.Genesis.ID().String() || got.Quorum != 3 || got.Validators != 4 {
		t.Errorf("LedgerStatus: %+v, %v", got, err)
	}
	if got, err := c.Validators(ctx); err != nil || len(got) != 4 || got[1].Name != "beta" || !got[0].Leader || got[1].Leader || got[0].Heard != nil {
		t.Errorf("Validators: %+v, %v", got, err)
	}
	readBlocks(t, c)
	readFiles(t, c, l, done.ID)
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// readBlocks reads the two blocks there are in every way.
func readBlocks(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	latest, err := c.Block(ctx, 0)
	if err != nil || latest.Sequence != 2 || len(latest.Transactions) != 1 || len(latest.Signers) != 3 {
		t.Errorf("the last block: %+v, %v", latest, err)
	}
	first, err := c.Block(ctx, 1)
	if err != nil || first.Digest != latest.Parent || first.NextValidators != "" {
		t.Errorf("block 1: %+v, %v", first, err)
	}
	for _, tc := range []struct {
		limit        int
		before, want uint64
		n            int
	}{{20, 0, 2, 2}, {1, 0, 2, 1}, {20, 2, 1, 1}, {20, 1, 0, 0}, {20, 999, 2, 2}} {
		got, err := c.Blocks(ctx, tc.limit, tc.before)
		if err != nil || len(got) != tc.n || tc.n > 0 && (got[0].Sequence != tc.want || got[0].Transactions != nil) {
			t.Errorf("Blocks(%d, %d): %+v, %v", tc.limit, tc.before, got, err)
		}
	}
	var seen []uint64
	watching, enough := context.WithCancel(ctx)
	defer enough()
	_, err = c.WatchBlocks(watching, 1, true, func(b api.LedgerBlock) {
		if seen = append(seen, b.Sequence); b.Sequence == 2 {
			enough()
		}
		if len(b.Transactions) != 1 {
			t.Errorf("block %d came without its transactions", b.Sequence)
		}
	})
	if !errors.Is(err, context.Canceled) || fmt.Sprint(seen) != "[1 2]" {
		t.Errorf("WatchBlocks: %v, %v", seen, err)
	}
}

// readFiles reads documents, which must arrive byte for byte.
func readFiles(t *testing.T, c *client.Client, l *ledgertest.Ledger, id tx.ID) {
	t.Helper()
	ctx := t.Context()
	want, err := l.Receipt(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Receipt(ctx, id); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Receipt: %v\n%s", err, got)
	}
	for _, owner := range []sig.PublicKey{{}, l.Key.Public()} {
		got, err := c.SnapshotReceipt(ctx, held, owner)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("SnapshotReceipt of %v: %v\n%s", owner, err, got)
		}
	}
	if _, err := c.SnapshotReceipt(ctx, held, ledgertest.Key('x').Public()); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("SnapshotReceipt of a stranger: %v", err)
	}
	g, err := c.Genesis(ctx)
	if err != nil || g.ID() != l.Genesis.ID() {
		t.Fatalf("Genesis: %v", err)
	}
	r, err := receipt.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(r, receipt.FromGenesis(g), sig.NewVerifier(0)); err != nil {
		t.Errorf("the receipt does not verify: %v", err)
	}
}

// A watcher is told when it asks for what is no longer there.
func TestWatchPruned(t *testing.T) {
	l, h := withLedger(t)
	if _, _, err := l.Do(t.Context(), tx.NameClaim{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	l.Prune(1)
	w := servertest.Request(t, h, "GET", api.Prefix+"/blocks/stream?from=1", "", nil)
	if !strings.Contains(w.Body.String(), "event: error") || !strings.Contains(w.Body.String(), `"code":"not_found"`) {
		t.Errorf("%s", w.Body)
	}
}

// The API's document shows every operation that there is, as it can be handed in.
func TestOperationsAreShown(t *testing.T) {
	_, h := withLedger(t)
	doc := decode[struct {
		Components struct {
			Schemas struct {
				SubmitRequest struct {
					Properties struct {
						Operation struct {
							Examples []json.RawMessage `json:"examples"`
						} `json:"operation"`
					} `json:"properties"`
				} `json:"SubmitRequest"`
			} `json:"schemas"`
		} `json:"components"`
	}](t, servertest.Request(t, h, "GET", "/openapi.json", "", nil).Body.Bytes())
	shown := map[tx.Type]bool{}
	for _, example := range doc.Components.Schemas.SubmitRequest.Properties.Operation.Examples {
		op, err := tx.ParseOp(example)
		if err != nil {
			t.Errorf("%s: %v", example, err)
			continue
		}
		shown[op.Type()] = true
	}
	for typ := tx.TypeSnapshotRegister; typ.Valid(); typ++ {
		if !shown[typ] {
			t.Errorf("%v is not shown", typ)
		}
	}
}
