package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// Wait says how long a node is to wait for a transaction's block.
type Wait struct {
	// Not makes the node answer as soon as it has taken the transaction.
	Not bool
	// Timeout is how long it waits otherwise, api.MaxWait at most; 0 is the node's
	// default.
	Timeout time.Duration
}

// Submit hands a transaction in. What comes back without Committed is undecided:
// it may still be committed. A transaction that the ledger does not take is
// api.ErrRejected and wraps a *tx.Rejection.
func (c *Client) Submit(ctx context.Context, req api.SubmitRequest, wait Wait) (out api.Submitted, err error) {
	query := url.Values{}
	if wait.Not {
		query.Set("wait", "false")
	}
	if wait.Timeout > 0 {
		query.Set("timeout", strconv.FormatFloat(min(wait.Timeout, api.MaxWait).Seconds(), 'f', -1, 64))
	}
	path := api.Prefix + "/transactions"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return out, c.call(ctx, http.MethodPost, path, req, &out)
}

// SubmitOp is [Client.Submit] for an operation that the node signs.
func (c *Client) SubmitOp(ctx context.Context, op tx.Op, wait Wait) (api.Submitted, error) {
	raw, err := json.Marshal(op)
	if err != nil {
		return api.Submitted{}, fmt.Errorf("encoding an operation: %w", err)
	}
	return c.Submit(ctx, api.SubmitRequest{Operation: raw}, wait)
}

// Transaction returns a committed transaction.
func (c *Client) Transaction(ctx context.Context, id tx.ID) (out api.Transaction, err error) {
	return out, get(ctx, c, "/transactions/"+id.String(), &out)
}

// Receipt returns the receipt's file for a committed transaction. Nothing of it
// was verified.
func (c *Client) Receipt(ctx context.Context, id tx.ID) ([]byte, error) {
	return c.file(ctx, "/transactions/"+id.String()+"/proof", receipt.MaxSize)
}

// SnapshotReceipt returns the receipt's file for the registration of a snapshot:
// the first, or owner's where that is not zero. Nothing of it was verified.
func (c *Client) SnapshotReceipt(ctx context.Context, root block.ID, owner sig.PublicKey) ([]byte, error) {
	path := "/snapshots/" + root.String() + "/receipt"
	if !owner.IsZero() {
		path += "?owner=" + owner.String()
	}
	return c.file(ctx, path, receipt.MaxSize)
}

// Genesis returns the ledger's genesis as the node has it. Whoever wants to trust
// it must compare its ID with one that is known.
func (c *Client) Genesis(ctx context.Context) (*genesis.Genesis, error) {
	data, err := c.file(ctx, "/ledger/genesis", genesis.MaxSize)
	if err != nil {
		return nil, err
	}
	g, err := genesis.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("the genesis of the daemon at %s: %w", c.where, err)
	}
	return g, nil
}

// LedgerStatus returns how the ledger is, as the node sees it.
func (c *Client) LedgerStatus(ctx context.Context) (out api.LedgerStatus, err error) {
	return out, get(ctx, c, "/ledger/status", &out)
}

// Validators returns the committee, by replica.
func (c *Client) Validators(ctx context.Context) (out []api.Validator, err error) {
	return out, get(ctx, c, "/validators", &out)
}

// Votes returns the changes that validators have voted for and that have not taken effect.
func (c *Client) Votes(ctx context.Context) (out []api.OpenVote, err error) {
	return out, get(ctx, c, "/votes", &out)
}

// Blocks returns up to limit blocks without their transactions, the last first:
// those before a sequence number, or the last where that is 0.
func (c *Client) Blocks(ctx context.Context, limit int, before uint64) (out []api.LedgerBlock, err error) {
	return out, get(ctx, c, fmt.Sprintf("/blocks?limit=%d&before=%d", limit, before), &out)
}

// Block returns a block with its transactions; seq 0 is the last one.
func (c *Client) Block(ctx context.Context, seq uint64) (out api.LedgerBlock, err error) {
	name := "latest"
	if seq > 0 {
		name = strconv.FormatUint(seq, 10)
	}
	return out, get(ctx, c, "/blocks/"+name, &out)
}

// WatchBlocks reports blocks as they are committed, from a sequence number on or,
// where that is 0, from now on, until ctx ends. Transactions come along where they
// are asked for.
func (c *Client) WatchBlocks(ctx context.Context, from uint64, transactions bool, report func(api.LedgerBlock)) (api.LedgerWatch, error) {
	path := fmt.Sprintf("%s/blocks/stream?from=%d&transactions=%t", api.Prefix, from, transactions)
	return stream[api.LedgerBlock, api.LedgerWatch](ctx, c, http.MethodGet, path, nil, report)
}

// Name returns who holds a name.
func (c *Client) Name(ctx context.Context, name string) (out api.LedgerName, err error) {
	return out, get(ctx, c, "/names/"+url.PathEscape(name), &out)
}

// Account returns the nonce that a key's next transaction can use.
func (c *Client) Account(ctx context.Context, key sig.PublicKey) (out api.Account, err error) {
	return out, get(ctx, c, "/accounts/"+key.String(), &out)
}

// file returns an answer of at most so many bytes as it is.
func (c *Client) file(ctx context.Context, path string, most int64) (_ []byte, err error) {
	res, err := c.request(ctx, http.MethodGet, api.Prefix+path, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	data, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, c.failed(ctx, "reading the answer of", err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%w: the daemon at %s answers with more than %d bytes", api.ErrTooLarge, c.where, most)
	}
	return data, nil
}
