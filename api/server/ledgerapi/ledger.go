// Package ledgerapi is the API's operations on the ledger.
package ledgerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// handInTimeout is how long a transaction is given to be judged by whoever it is
// handed to, where nobody waits for its block.
const handInTimeout = time.Second

// errNoLedger says what to do about a swarm without a ledger.
var errNoLedger = fmt.Errorf("%w: this peer has no genesis document; one is made with \"decubectl ledger genesis create\", and given to each peer with \"decube-node init --genesis FILE\"", api.ErrNoLedger)

// ledgerProblem gives an error of the ledger the sentinel that a client can branch
// on. Rejections keep their code.
func ledgerProblem(err error) error {
	switch {
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, ledger.ErrPruned):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, ledger.ErrDamaged):
		return fmt.Errorf("%w: %w", api.ErrCorrupt, err)
	case errors.Is(err, ledger.ErrHalted):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	case errors.Is(err, ledger.ErrUndecided):
		return fmt.Errorf("%w: %w", api.ErrTimeout, err)
	}
	return err
}

// routes are the operations, and what they are done with.
type routes struct {
	*server.Router

	ledger  ledger.API       // nil without a ledger
	genesis *genesis.Genesis // the document that made it
}

// Group returns the operations on a ledger that a genesis document made.
func Group(l ledger.API, g *genesis.Genesis) server.Group {
	return server.Group{Name: "ledger", Register: func(r *server.Router) { (&routes{r, l, g}).register() }}
}

// None returns the operations for a peer that is part of no ledger: each is answered
// api.ErrNoLedger.
func None() server.Group { return Group(nil, nil) }

// ofLedger registers an operation on the ledger that answers with a T.
func ofLedger[I, T any](s *routes, op huma.Operation, run func(ctx context.Context, l ledger.API, in *I) (T, error)) {
	server.Handle(s.Router, op, func(ctx context.Context, in *I) (T, error) {
		if s.ledger == nil {
			var none T
			return none, errNoLedger
		}
		out, err := run(ctx, s.ledger, in)
		return out, ledgerProblem(err)
	})
}

// TransactionParam is the path parameter of everything that concerns one
// transaction. It is exported because huma looks into embedded structs only then.
type TransactionParam struct {
	ID tx.ID `path:"id" doc:"Transaction ID: 64 lower-case hexadecimal digits" minLength:"64" maxLength:"64"`
}

func (s *routes) register() {
	ofLedger(s, server.Get("ledger-status", "/ledger/status", "How the ledger is, and why nothing is committed", "ledger"),
		func(ctx context.Context, l ledger.API, _ *server.Nothing) (api.LedgerStatus, error) {
			st, err := l.Status(ctx)
			return ledgerStatusOf(&st), err
		})
	ofLedger(s, server.Get("ledger-validators", "/validators", "The committee, by replica", "ledger"),
		func(ctx context.Context, l ledger.API, _ *server.Nothing) ([]api.Validator, error) {
			st, err := l.Status(ctx)
			return validatorsOf(&st), err
		})
	ofLedger(s, server.Get("ledger-votes", "/votes", "Changes that validators have voted for and that have not taken effect", "ledger"), openVotes)
	s.registerTransactions()
	s.registerBlocks()
	ofLedger(s, server.Get("ledger-name", "/names/{name}", "Who holds a name, and what it stands for", "ledger"),
		func(ctx context.Context, l ledger.API, in *struct {
			Name string `path:"name" doc:"The name" maxLength:"64"`
		},
		) (api.LedgerName, error) {
			n, err := l.Name(ctx, in.Name)
			return api.LedgerName{
				Name: n.Name, Owner: n.Owner, Target: n.Target, Offered: n.Offered, Records: n.Records, Block: n.Block, Proof: n.Proof,
			}, err
		})
	ofLedger(s, server.Get("ledger-account", "/accounts/{key}", "The nonce that somebody's next transaction can use", "ledger"),
		func(ctx context.Context, l ledger.API, in *struct {
			Key sig.PublicKey `path:"key" doc:"Peer ID"`
		},
		) (api.Account, error) {
			next, err := l.NextNonce(ctx, in.Key)
			return api.Account{Key: in.Key, NextNonce: next}, err
		})
	s.registerFiles()
}

// submitInput says false in a word: where there is a body, huma takes a parameter
// of the value zero for one that is absent, and gives it its default.
type submitInput struct {
	Wait    string  `query:"wait" enum:"true,false" default:"true" doc:"Wait for the transaction's block"`
	Timeout float64 `query:"timeout" default:"30" exclusiveMinimum:"0" maximum:"600" doc:"How many seconds to wait for it"`
	Body    api.SubmitRequest
}

type submitOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     api.Submitted
}

func (s *routes) registerTransactions() {
	submit := server.Post("transaction-submit", "/transactions", "Have an operation or a signed transaction ordered", "ledger")
	submit.Description = "Answers 200 with the transaction's block, or 202 while it is undecided: it may still be committed, and GET of its location tells. A rejection is a problem of its own, with a stable code."
	submit.Responses = map[string]*huma.Response{"202": {
		Description: "Undecided: handed in, and not in a block yet",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: s.API().OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Submitted](), true, "Submitted"),
		}},
	}}
	huma.Register(s.API(), submit, func(ctx context.Context, in *submitInput) (*submitOutput, error) {
		defer server.EndOnPanic()
		if s.ledger == nil {
			return nil, server.Problem(errNoLedger)
		}
		out, err := s.submit(ctx, in)
		if err != nil {
			return nil, server.Problem(ledgerProblem(err))
		}
		status := http.StatusOK
		if !out.Committed {
			status = http.StatusAccepted
		}
		return &submitOutput{status, api.Prefix + "/transactions/" + out.ID.String(), out}, nil
	})
	showOperations(s.API().OpenAPI().Components.Schemas.Map()["SubmitRequest"].Properties["operation"])
	ofLedger(s, server.Get("transaction-get", "/transactions/{id}", "A committed transaction and its place", "ledger"),
		func(ctx context.Context, l ledger.API, in *TransactionParam) (api.Transaction, error) {
			t, at, err := l.Transaction(ctx, in.ID)
			if err != nil {
				return api.Transaction{}, fmt.Errorf("transaction %s: %w", in.ID, err)
			}
			return transactionOf(t, at)
		})
}

func openVotes(ctx context.Context, l ledger.API, _ *server.Nothing) ([]api.OpenVote, error) {
	st, err := l.Status(ctx)
	if err != nil {
		return nil, err
	}
	all, err := l.Candidates(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]api.OpenVote, len(all))
	for i, c := range all {
		op, err := json.Marshal(c.Change)
		if err != nil {
			return nil, fmt.Errorf("a change that was voted for: %w", err)
		}
		out[i] = api.OpenVote{
			Operation: op, Summary: c.Change.Summary(), Voters: c.Voters, Needed: st.Quorum, Missing: max(0, st.Quorum-len(c.Voters)),
		}
	}
	return out, nil
}

// submit hands in what a request holds, and waits as it asks.
func (s *routes) submit(ctx context.Context, in *submitInput) (api.Submitted, error) {
	wait := time.Duration(in.Timeout * float64(time.Second))
	if in.Wait == "false" {
		wait = handInTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	begun := time.Now()
	t, at, err := s.handIn(ctx, &in.Body)
	if err != nil && (t == nil || !errors.Is(err, ledger.ErrUndecided)) {
		return api.Submitted{}, err
	}
	out := api.Submitted{ID: t.ID(), Owner: t.Owner, Nonce: t.Nonce, Seconds: time.Since(begun).Seconds()}
	if err != nil {
		out.Transaction = t.Raw()
	} else {
		out.Committed, out.Block, out.Index, out.Time = true, at.Block, at.Index, &at.Time
		out.Vote = s.voteOf(ctx, t.Op)
	}
	return out, nil
}

// voteOf returns how the change of a committed vote stands, and nil for what is no vote.
// It is nil as well when that cannot be looked up: the vote is committed all the same.
func (s *routes) voteOf(ctx context.Context, op tx.Op) *api.Vote {
	if !op.Type().Governs() {
		return nil
	}
	st, err := s.ledger.Standing(ctx, op)
	if err != nil {
		s.Log().Warn("looking up how a change stands failed", "err", err)
		return nil
	}
	return &api.Vote{InEffect: st.InEffect, Votes: st.Votes, Needed: st.Needed, Missing: st.Missing()}
}

// handIn submits the transaction of a request, or has the node make one.
func (s *routes) handIn(ctx context.Context, req *api.SubmitRequest) (*tx.Transaction, ledger.Committed, error) {
	given := len(req.Operation) > 0
	if given == (len(req.Transaction) > 0) {
		return nil, ledger.Committed{}, fmt.Errorf("%w: the body must hold either an operation for the node to sign or a signed transaction", api.ErrInvalid)
	}
	if given {
		op, err := tx.ParseOp(req.Operation)
		if err != nil {
			return nil, ledger.Committed{}, err
		}
		return s.ledger.Do(ctx, op)
	}
	t, err := tx.Decode(req.Transaction)
	if err != nil {
		return nil, ledger.Committed{}, err
	}
	at, err := s.ledger.Submit(ctx, t)
	return t, at, err
}

// registerBlocks registers the reads of blocks.
func (s *routes) registerBlocks() {
	ofLedger(s, server.Get("block-list", "/blocks", "Committed blocks without their transactions, the last first", "ledger"), listBlocks)
	ofLedger(s, server.Get("block-get", "/blocks/{sequence}", "A committed block with its transactions", "ledger"),
		func(ctx context.Context, l ledger.API, in *struct {
			Sequence string `path:"sequence" doc:"Sequence number, from 1, or latest" maxLength:"20"`
		},
		) (api.LedgerBlock, error) {
			var seq uint64
			if in.Sequence != "latest" {
				var err error
				if seq, err = strconv.ParseUint(in.Sequence, 10, 64); err != nil || seq == 0 {
					return api.LedgerBlock{}, fmt.Errorf("%w: block %q, want a sequence number, from 1, or latest", api.ErrInvalid, in.Sequence)
				}
			}
			b, err := l.Block(ctx, seq)
			if err != nil {
				return api.LedgerBlock{}, fmt.Errorf("block %s: %w", in.Sequence, err)
			}
			return blockOf(b, true)
		})
	server.List(s.Router, server.Get("block-stream", "/blocks/stream", "Blocks as they are committed", "ledger"), s.watchBlocks)
}

type listBlocksInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many at most"`
	Before uint64 `query:"before" doc:"Only blocks before this sequence number; 0 begins with the last"`
}

// listBlocks goes back from the last block, or from the one before another, until
// there are enough, or no more here.
func listBlocks(ctx context.Context, l ledger.API, in *listBlocksInput) ([]api.LedgerBlock, error) {
	out := []api.LedgerBlock{}
	last, err := l.Block(ctx, 0)
	if errors.Is(err, ledger.ErrNotFound) { // nothing is committed yet
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	seq := last.Header.Seq
	if in.Before > 0 {
		seq = min(seq, in.Before-1)
	}
	for ; seq > 0 && len(out) < in.Limit; seq-- {
		b, err := l.Block(ctx, seq)
		if errors.Is(err, ledger.ErrPruned) {
			break
		}
		if err != nil {
			return nil, err
		}
		item, err := blockOf(b, false)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

type watchBlocksInput struct {
	From         uint64 `query:"from" doc:"Begin with this sequence number; 0 is from now on"`
	Transactions bool   `query:"transactions" doc:"Send the transactions too"`
}

func (s *routes) watchBlocks(ctx context.Context, in *watchBlocksInput, item func(api.LedgerBlock) error) (api.LedgerWatch, error) {
	var sent api.LedgerWatch
	if s.ledger == nil {
		return sent, errNoLedger
	}
	for b, err := range s.ledger.Watch(ctx, in.From) {
		if err != nil {
			return sent, ledgerProblem(err)
		}
		out, err := blockOf(b, in.Transactions)
		if err != nil {
			return sent, err
		}
		if err := item(out); err != nil {
			return sent, err
		}
		sent.Blocks++
	}
	return sent, ctx.Err()
}

// fileOutput is a document that leaves as it is, byte for byte.
type fileOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// file registers a read of a JSON document that must not be written anew.
func file[I any](s *routes, op huma.Operation, run func(ctx context.Context, l ledger.API, in *I) ([]byte, error)) {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The document",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
	}}
	huma.Register(s.API(), op, func(ctx context.Context, in *I) (*fileOutput, error) {
		defer server.EndOnPanic()
		if s.ledger == nil {
			return nil, server.Problem(errNoLedger)
		}
		data, err := run(ctx, s.ledger, in)
		if err != nil {
			return nil, server.Problem(ledgerProblem(err))
		}
		return &fileOutput{"application/json", data}, nil
	})
}

func (s *routes) registerFiles() {
	file(s, server.Get("ledger-genesis", "/ledger/genesis", "The genesis document", "ledger"),
		func(context.Context, ledger.API, *server.Nothing) ([]byte, error) { return s.genesis.Marshal() })
	file(s, server.Get("transaction-proof", "/transactions/{id}/proof", "The receipt of a committed transaction, as a file that proves it offline", "ledger"),
		func(ctx context.Context, l ledger.API, in *TransactionParam) ([]byte, error) {
			data, err := l.Receipt(ctx, in.ID)
			if err != nil {
				return nil, fmt.Errorf("receipt of transaction %s: %w", in.ID, err)
			}
			return data, nil
		})
	file(s, server.Get("snapshot-receipt", "/snapshots/{cid}/receipt", "The receipt of a snapshot's registration", "ledger"),
		func(ctx context.Context, l ledger.API, in *struct {
			server.CIDParam

			Owner sig.PublicKey `query:"owner" doc:"Peer ID of who registered it; the first who did where it is absent"`
		},
		) ([]byte, error) {
			t, _, err := l.Registration(ctx, tx.CID(in.CID.Bytes()), in.Owner)
			if err != nil {
				return nil, fmt.Errorf("registration of snapshot %s: %w", in.CID, err)
			}
			return l.Receipt(ctx, t.ID())
		})
}
