// Package mutants shows that the simulator finds bugs, by planting them into the
// ledger's source: not into the source itself, which has no trace of them, but into
// copies that the go command builds in its place (flag -overlay).
//
// A mutant is a file NAME.txtar. Its header has lines of a key and a value:
//
//	what: VIEW-CHANGE claims no locks    in words
//	profile: crash                       of the runs that show it
//	strategy: forger                     of all faulty replicas; or left out
//	rules: S1 S2                         those that it may break first
//	seeds: 300                           from 0 on, until it must be found
//	rare: true                           if that is more than 1,000; or left out
//
// Pairs of sections follow, which replace lines that the file has exactly once:
//
//	-- ledger/pbft/carry.go old --
//	-- ledger/pbft/carry.go new --
//
// Any file of the module may be changed that testnet/sim/cmd/sim links. What two parts of
// a node prevent is planted into both.
//
// The number of seeds is stated before the mutant is run, as what the rule ought to
// need: a mutant that is missed asks for a better profile or rule, not for more seeds.
//
// A mutant is found when the first bad run, of its seeds in order, breaks one of its
// rules, and the source as it is breaks none for the very same seeds.
package mutants
