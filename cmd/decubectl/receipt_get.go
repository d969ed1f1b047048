package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/receipt"
)

// receiptGetOptions are the inputs of receipt get.
type receiptGetOptions struct {
	output string // file to write, - for standard output
	force  bool
	owner  string // of the registration, empty for the first who made one
	wait   time.Duration

	subject string // as it was given
	// get asks for the receipt of the subject.
	get func(ctx context.Context, c *client.Client) ([]byte, error)
}

func newReceiptGetCommand(e *env) *cobra.Command {
	o := new(receiptGetOptions)
	cmd := &cobra.Command{
		Use:   "get CID|TRANSACTION",
		Short: "Get the receipt of a registration or of a transaction",
		Long: `Gets the receipt of a snapshot's registration, by CID, or of any committed
transaction, by its ID. The receipt is a file that proves, without any node, who had
what ordered and when: see "decubectl receipt verify". It is verified before it is
written, against the genesis that the node has.

A node that follows the ledger has each block a moment after the validators. With --wait
a receipt that is not there yet is waited for, block by block.`,
		Example: `  decubectl receipt get bafyrei... -o photos.receipt
  decubectl receipt get bafyrei... -o photos.receipt --wait 30s
  decubectl receipt get 5f1d... | decubectl receipt verify - --genesis genesis.json`,
		Args: wants(1, 1, "one CID or transaction ID"),
		RunE: runs(e, o.parse, o.run),
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "-", "write the receipt to a `FILE`, or - for standard output")
	cmd.Flags().StringVar(&o.owner, "owner", "", "peer ID, the `KEY` of who registered the snapshot; by default the first who did")
	cmd.Flags().DurationVar(&o.wait, "wait", 0, "wait so long for the block that it is in")
	cmd.Flags().BoolVar(&o.force, "force", false, "write over a file that is there")
	return cmd
}

func (o *receiptGetOptions) parse(args []string) error {
	if o.wait < 0 {
		return usageError("--wait %v: want a time from now on", o.wait)
	}
	o.subject = args[0]
	if isHash(o.subject) {
		id, err := parseTx(o.subject)
		if err == nil && o.owner != "" {
			err = usageError("--owner chooses among the registrations of a snapshot, and %s is a transaction", o.subject)
		}
		o.get = func(ctx context.Context, c *client.Client) ([]byte, error) { return c.Receipt(ctx, id) }
		return err
	}
	root, err := parseRoot(o.subject)
	if err != nil {
		return err
	}
	var key sig.PublicKey
	if o.owner != "" {
		if key, err = parseKey(o.owner); err != nil {
			return err
		}
	}
	o.get = func(ctx context.Context, c *client.Client) ([]byte, error) { return c.SnapshotReceipt(ctx, root, key) }
	return nil
}

func (o *receiptGetOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	data, err := o.await(ctx, c)
	if err != nil {
		return err
	}
	g, err := c.Genesis(ctx)
	if err != nil {
		return err
	}
	p, err := prove(data, receipt.FromGenesis(g))
	if err != nil {
		return fmt.Errorf("the node's receipt for %s: %w", o.subject, err)
	}
	if err := writeOutput(e, o.output, data, o.force); err != nil {
		return fmt.Errorf("writing the receipt: %w", err)
	}
	e.note("%s. Verified against the node's genesis %s.", p.headline(), p.Genesis)
	if o.output == "-" {
		return nil
	}
	p.File = o.output
	return e.print(p, func(w io.Writer) { fmt.Fprintln(w, o.output) })
}

// errThere ends a wait whose end has come.
var errThere = errors.New("it is there")

// await asks for the receipt, and once more after each block that the node gets, for as long
// as it is to be waited for.
func (o *receiptGetOptions) await(ctx context.Context, c *client.Client) ([]byte, error) {
	if o.wait == 0 {
		return o.get(ctx, c)
	}
	st, err := c.LedgerStatus(ctx) // before it is asked for the first time, so that no block is missed
	if err != nil {
		return nil, err
	}
	data, err := o.get(ctx, c)
	if !errors.Is(err, api.ErrNotFound) {
		return data, err
	}
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watching, cancel := context.WithTimeout(watching, o.wait)
	defer cancel()
	_, watchErr := c.WatchBlocks(watching, st.Committed+1, false, func(api.LedgerBlock) {
		if watching.Err() != nil {
			return
		}
		if data, err = o.get(watching, c); !errors.Is(err, api.ErrNotFound) {
			stop(errThere)
		}
	})
	switch cause := context.Cause(watching); {
	case errors.Is(cause, errThere):
		return data, err
	case ctx.Err() != nil, cause == nil && watchErr != nil:
		return nil, watchErr
	case cause == nil:
		return nil, err // the daemon has ended the watch, and it was not there until then
	}
	return nil, fmt.Errorf("%w: %s came into no block within %v; \"decubectl ledger status\" shows how far this node is", api.ErrNotFound, o.subject, o.wait)
}
