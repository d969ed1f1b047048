package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// maxOperation bounds the file of an operation, and maxKey that of a key.
const (
	maxOperation = 1 << 20
	maxKey       = 1 << 10
)

// submitFlags say who signs an operation and how long to wait for it.
type submitFlags struct {
	key    string
	noWait bool
}

func (f *submitFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.key, "key", "", "sign with the private key in this `FILE`, in the form of a repository's identity.key, in place of the node's own")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "do not wait for the transaction's block")
}

func (a *app) ledgerSubmit() *cobra.Command {
	var f submitFlags
	var file string
	cmd := group("submit", "Have an operation ordered by the ledger",
		a.submitRegister(), a.submitRetire(), a.submitClaim(), a.submitTransfer(), a.submitAccept(), a.submitRecord(),
		a.submitAddValidator(), a.submitRemoveValidator(), a.submitParam())
	below := cmd.RunE
	cmd.Use = "submit OPERATION"
	cmd.Long = `Has an operation ordered by the ledger and waits until it is in a block, which then is
final. The node signs it with its own key, or --key names another one. Each operation
is a command of its own; --file takes any operation as JSON.

An operation that the ledger rejects ends with exit code 1, the name of the reason
and what to do about it. One that is not in a block in time, 30 s or --timeout, ends
with exit code 14: it may still be committed, and "decubectl ledger tx" tells.`
	cmd.Example = `  decubectl ledger submit name.claim photos bafyrei...
  decubectl ledger submit snapshot.register bafyrei... --retain 90d
  echo '{"type":"name.claim","name":"photos","target":""}' | decubectl ledger submit --file -`
	cmd.Flags().StringVar(&file, "file", "", "read the operation, as JSON, from a `FILE`, or - for standard input")
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" || len(args) > 0 {
			return below(cmd, args)
		}
		data, err := a.readInput(cmd.Context(), file, maxOperation)
		if err != nil {
			return fmt.Errorf("reading an operation: %w", err)
		}
		op, err := tx.ParseOp(data)
		if err != nil {
			return rejectedUsage(fmt.Errorf("%s: %w", file, err))
		}
		return a.submit(cmd, &f, op)
	}
	return cmd
}

// rejectedUsage is a mistake in an operation that shows before anybody is asked.
func rejectedUsage(err error) error {
	if code, ok := tx.CodeOf(err); ok {
		return usageError("%w%s", err, advice(code, true, code.Explain()))
	}
	return usageError("%w", err)
}

// submit has an operation ordered, and prints what became of it.
func (a *app) submit(cmd *cobra.Command, f *submitFlags, op tx.Op) error {
	if err := op.Validate(); err != nil {
		return rejectedUsage(err)
	}
	ctx := cmd.Context()
	var key sig.PrivateKey
	if f.key != "" {
		var err error
		if key, err = readKey(f.key); err != nil {
			return err
		}
	}
	c, err := a.daemon(ctx)
	if err != nil {
		return err
	}
	// The daemon gives up a little before the context does, so that it can still say
	// which transaction it is.
	wait := client.Wait{Not: f.noWait, Timeout: a.timeout * 9 / 10}
	req, err := requestFor(ctx, c, key, op)
	if err != nil {
		return err
	}
	done, err := handIn(ctx, c, req, wait)
	if err != nil {
		return err
	}
	done.Transaction = nil // it is of use to programs that hand it in again
	if err := a.print(done, func(w io.Writer) { showSubmitted(w, op, &done) }); err != nil {
		return err
	}
	if f.noWait && !done.Committed {
		a.note("Handed in; \"decubectl ledger tx %s\" shows its block once it has one.", done.ID)
		return nil
	}
	return undecided(ctx, c, &done)
}

// requestFor returns what to hand in to have an operation ordered: the operation itself,
// for the node to sign, or with a key a transaction that is signed here, for the ledger
// that the daemon has.
func requestFor(ctx context.Context, c *client.Client, key sig.PrivateKey, op tx.Op) (api.SubmitRequest, error) {
	if key.IsZero() {
		raw, err := json.Marshal(op)
		if err != nil {
			return api.SubmitRequest{}, fmt.Errorf("encoding an operation: %w", err)
		}
		return api.SubmitRequest{Operation: raw}, nil
	}
	st, err := c.LedgerStatus(ctx)
	if err != nil {
		return api.SubmitRequest{}, err
	}
	network, err := tx.ParseID(st.Genesis)
	if err != nil {
		return api.SubmitRequest{}, fmt.Errorf("the daemon's genesis ID: %w", err)
	}
	account, err := c.Account(ctx, key.Public())
	if err != nil {
		return api.SubmitRequest{}, err
	}
	t, err := tx.Sign(key, [32]byte(network), account.NextNonce, op)
	if err != nil {
		return api.SubmitRequest{}, err
	}
	return api.SubmitRequest{Transaction: t.Raw()}, nil
}

func showSubmitted(w io.Writer, op tx.Op, done *api.Submitted) {
	printFields(w, "Transaction", done.ID, "Operation", op.Summary(), "Owner", done.Owner)
	if done.Committed {
		printFields(w, "Block", place(done.Block, done.Index), "Time", when(*done.Time), "Final after", took(done.Seconds))
	}
	if done.Vote != nil {
		printFields(w, "Vote", standing(done.Vote))
	}
}

// standing says in one line how the change of a vote stands.
func standing(v *api.Vote) string {
	if v.InEffect {
		return "recorded, and the change is in effect"
	}
	return fmt.Sprintf("recorded: %d of %d needed, %d missing", v.Votes, v.Needed, v.Missing)
}

// reasonTimeout is how long it may take to find out why a transaction is in no block.
const reasonTimeout = 2 * time.Second

// undecided returns why a transaction is in no block yet, or nil if it is.
func undecided(ctx context.Context, c *client.Client, done *api.Submitted) error {
	if done.Committed {
		return nil
	}
	why := "\"decubectl ledger status\" shows what waits"
	// The command's time is used up by now, and the reason is worth a moment more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reasonTimeout)
	defer cancel()
	if st, err := c.LedgerStatus(ctx); err == nil && st.Problem != "" {
		why = st.Problem
	}
	return exitcode.With(fmt.Errorf("transaction %s is in no block after %s, and may still get into one; %s; \"decubectl ledger tx %s\" tells when it is",
		done.ID, took(done.Seconds), why, done.ID), exitcode.TimedOut)
}

// readKey reads a private key as a repository keeps it.
func readKey(path string) (_ sig.PrivateKey, err error) {
	data, err := readFile(path, maxKey)
	if _, large := tx.CodeOf(err); err != nil && !large {
		return sig.PrivateKey{}, fmt.Errorf("reading the private key: %w", err)
	}
	if err == nil {
		var key sig.PrivateKey
		if key, err = sig.ParsePrivateKey(data); err == nil {
			return key, nil
		}
	} else {
		err = fmt.Errorf("%w: it has more than %d bytes", sig.ErrPrivateKey, maxKey)
	}
	return sig.PrivateKey{}, fmt.Errorf("--key %s: %w; want a file such as the identity.key of a repository", path, err)
}

// readInput reads a file of at most so many bytes, or standard input for "-".
func (a *app) readInput(ctx context.Context, path string, most int64) ([]byte, error) {
	if path == "-" {
		return readAll("standard input", newInput(ctx, a.stdin), most)
	}
	return readFile(path, most)
}

func readFile(path string, most int64) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readAll(path, f, most)
}

func readAll(name string, r io.Reader, most int64) ([]byte, error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(r, most+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > most {
		return nil, tx.Reject(tx.CodeTooLarge, "%s has more than %d bytes", name, most)
	}
	return b.Bytes(), nil
}

// maxRetention is the longest that can be promised, so that a slip shows.
const maxRetention = 100 * 365 * day

const day = 24 * time.Hour
