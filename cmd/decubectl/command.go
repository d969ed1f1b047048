package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api/client"
)

// runs returns what cobra calls for a command: parse, where there is something to, and
// then run, which has until --timeout.
//
//   - parse takes the arguments, of which there are as many as Args allows, and checks
//     them and the flags. What it finds wrong is a usageError. Files are the only thing
//     outside the options that it may read, and only where a flag's value is in one.
//   - run does the work, in e.
func runs(e *env, parse func(args []string) error, run func(ctx context.Context, e *env) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if e.timeout < 0 {
			return usageError("--timeout %v: want 0 for never, or more", e.timeout)
		}
		if parse != nil {
			if err := parse(args); err != nil {
				return err
			}
		}
		ctx, cancel := e.limit(cmd.Context())
		defer cancel()
		return run(ctx, e)
	}
}

// asks returns the run of a command that asks a daemon for one thing and prints it.
func asks[T any](ask func(c *client.Client, ctx context.Context) (T, error), show func(w io.Writer, v *T)) func(ctx context.Context, e *env) error {
	return func(ctx context.Context, e *env) error {
		c, err := e.daemon(ctx)
		if err != nil {
			return err
		}
		v, err := ask(c, ctx)
		if err != nil {
			return err
		}
		return e.print(v, func(w io.Writer) { show(w, &v) })
	}
}

// asksEach is asks for a list, of which each item is a line of JSON.
func asksEach[T any](ask func(c *client.Client, ctx context.Context) ([]T, error), show func(w io.Writer, all []T)) func(ctx context.Context, e *env) error {
	return func(ctx context.Context, e *env) error {
		c, err := e.daemon(ctx)
		if err != nil {
			return err
		}
		all, err := ask(c, ctx)
		if err != nil {
			return err
		}
		return printEach(e, all, func(w io.Writer) { show(w, all) })
	}
}

// group returns a command that only has commands below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(below...)
	asGroup(cmd)
	return cmd
}

// asGroup makes cmd show its help when called alone, and refuse words that are no
// commands.
func asGroup(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", near[0])
		}
		return usageError("%s has no command %q%s", cmd.CommandPath(), args[0], hint)
	}
	cmd.SuggestionsMinimumDistance = 2
}

// wants checks the number of arguments; most < 0 is no limit.
func wants(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError("%s wants %s", cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return usageError("%s wants %s, and got %d arguments more", cmd.CommandPath(), what, len(args)-most)
		}
		return nil
	}
}

// noArgs is for commands without arguments.
var noArgs = wants(0, 0, "no arguments")
