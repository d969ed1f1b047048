// Command decubectl controls a DeCube node: it takes and restores snapshots with
// the rights of the person who calls it, and asks the node's daemon for everything
// else. Data goes to standard output, progress and messages to standard error;
// package exitcode lists the exit codes.
//
// # A command
//
// Each command is in the file of its name, in the order in which it happens:
//
//	type snapshotLsOptions struct   its inputs: arguments, flags and what they come to
//	func newSnapshotLsCommand       the help, and which flag is which field; nothing else
//	func (o) parse(args)            takes the arguments, finds what is wrong: a usageError
//	func (o) run(ctx, e)            does the work
//
// A command with nothing to parse has no parse, and one with no inputs no options. Options
// embed those of whatever does the work, such as [create.Options] or [api.GCRequest], and
// flags are bound to its fields; a flag that needs work before use is a field of the
// command's, and parse fills in the other. Inputs that several commands share, such as
// fetchOptions, are embedded in the same way and have a bind for their flags.
//
// What parse and run need from outside is their parameters. The env has the streams, the
// global flags and how a node is reached, so that a test calls run with an env of its own
// and without cobra:
//
//	main -> newRootCommand(e) -> newXCommand(e) -> runs(e, o.parse, o.run)
//	                                                   |        |
//	                                             usageError   e.daemon:     only a daemon can do it
//	                                                          e.withRepo:   with one or without
//	                                                          e.withBlocks: and blocks are read or written
package main
