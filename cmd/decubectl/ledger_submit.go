package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// maxOperation bounds the file of an operation, and maxKey that of a key.
const (
	maxOperation = 1 << 20
	maxKey       = 1 << 10
)

// submitOptions are the inputs of every command that has an operation ordered.
type submitOptions struct {
	keyFile string // of who signs, or empty for the node
	noWait  bool

	op tx.Op // what a command's parse makes of its arguments
}

func (o *submitOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.keyFile, "key", "", "sign with the private key in this `FILE`, in the form of a repository's identity.key, in place of the node's own")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait for the transaction's block")
}

// set makes op the operation to submit, if it is one that the ledger could order. What it
// returns is a usage error.
func (o *submitOptions) set(op tx.Op) error {
	if err := op.Validate(); err != nil {
		return rejectedUsage(err)
	}
	o.op = op
	return nil
}

// ledgerSubmitOptions are the inputs of ledger submit itself.
type ledgerSubmitOptions struct {
	submitOptions

	file string // with the operation as JSON
}

func newLedgerSubmitCommand(e *env) *cobra.Command {
	o := new(ledgerSubmitOptions)
	cmd := group("submit", "Have an operation ordered by the ledger",
		newSubmitRegisterCommand(e), newSubmitRetireCommand(e), newSubmitClaimCommand(e), newSubmitTransferCommand(e),
		newSubmitAcceptCommand(e), newSubmitRecordCommand(e),
		newSubmitAddValidatorCommand(e), newSubmitRemoveValidatorCommand(e), newSubmitParamCommand(e))
	below, submit := cmd.RunE, runs(e, nil, o.run)
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
	cmd.Flags().StringVar(&o.file, "file", "", "read the operation, as JSON, from a `FILE`, or - for standard input")
	o.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.file == "" || len(args) > 0 {
			return below(cmd, args)
		}
		return submit(cmd, args)
	}
	return cmd
}

func (o *ledgerSubmitOptions) run(ctx context.Context, e *env) error {
	data, err := readWithin(ctx, e, o.file, maxOperation, "an operation")
	if err != nil {
		return err
	}
	op, err := tx.ParseOp(data)
	if err != nil {
		return rejectedUsage(fmt.Errorf("%s: %w", o.file, err))
	}
	if err := o.set(op); err != nil {
		return err
	}
	return o.submitOptions.run(ctx, e)
}

// rejectedUsage is a mistake in an operation that shows before anybody is asked.
func rejectedUsage(err error) error {
	if code, ok := tx.CodeOf(err); ok {
		return usageError("%w%s", err, advice(code, true, code.Explain()))
	}
	return usageError("%w", err)
}

// run has the operation ordered, and prints what became of it.
func (o *submitOptions) run(ctx context.Context, e *env) error {
	var key sig.PrivateKey
	if o.keyFile != "" {
		var err error
		if key, err = readKey(o.keyFile); err != nil {
			return err
		}
	}
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	req, err := requestFor(ctx, c, key, o.op)
	if err != nil {
		return err
	}
	done, err := handIn(ctx, c, req, client.Wait{Not: o.noWait, Timeout: patience(ctx)})
	if err != nil {
		return err
	}
	done.Transaction = nil // it is of use to programs that hand it in again
	if err := e.print(done, func(w io.Writer) { showSubmitted(w, o.op, &done) }); err != nil {
		return err
	}
	if o.noWait && !done.Committed {
		e.note("Handed in; \"decubectl ledger tx %s\" shows its block once it has one.", done.ID)
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

// readKey reads a private key as a repository keeps it. A file that holds none is a mistake
// in the words, one that cannot be read is not.
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
	return sig.PrivateKey{}, usageError("--key %s: %w; want a file such as the identity.key of a repository", path, err)
}

// parseKey reads an argument that names somebody by peer ID.
func parseKey(arg string) (sig.PublicKey, error) {
	key, err := sig.ParsePublicKey(arg)
	if err != nil {
		return sig.PublicKey{}, usageError("%w; \"decubectl id\" prints a node's", err)
	}
	return key, nil
}
