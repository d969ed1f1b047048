package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/tx"
)

// submitRecordOptions are the inputs of ledger submit record.put.
type submitRecordOptions struct {
	submitOptions

	put       tx.RecordPut
	namespace string
	file      string // that the value is in, - for standard input, empty for neither
}

func newSubmitRecordCommand(e *env) *cobra.Command {
	o := new(submitRecordOptions)
	cmd := &cobra.Command{
		Use:   "record.put KEY VALUE|-|@FILE",
		Short: "Write a record of up to 64 KiB",
		Long: `Writes a record among the signer's own or, with --namespace, under a name that the
signer holds, in place of the one with the same key. The value is the argument, what
standard input has (-) or what a file has (@FILE). An empty one takes a record back.`,
		Example: `  decubectl ledger submit record.put contact ops@example.com
  decubectl ledger submit record.put --namespace photos policy @policy.json`,
		Args: wants(2, 2, "a key and a value"),
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.namespace, "namespace", "", "`NAME` to write the record under")
	return cmd
}

func (o *submitRecordOptions) parse(args []string) error {
	o.put = tx.RecordPut{Namespace: o.namespace, Key: args[0]}
	if args[1] == "-" {
		o.file = "-"
	} else if file, ok := strings.CutPrefix(args[1], "@"); ok {
		o.file = file
	} else {
		o.put.Value = []byte(args[1])
	}
	return o.set(o.put)
}

func (o *submitRecordOptions) run(ctx context.Context, e *env) error {
	if o.file != "" {
		data, err := readWithin(ctx, e, o.file, tx.MaxValue, "the record's value")
		if err != nil {
			return err
		}
		o.put.Value = data
		if err := o.set(o.put); err != nil {
			return err
		}
	}
	return o.submitOptions.run(ctx, e)
}
