// Package counting says which bundles count, of those that are held: a pure function of
// bundles, capabilities, revocations and faults, without a clock and whatever came first.
//
//	sequence   0 ..... from ................ to ............ held
//	           before   |  what counts       |  after
//	           the      |                    |  - the capability has expired
//	           capability                    |  - a fault cuts the writer off
//	           begins                        |  - a revocation had not seen it
//
// A bundle of an origin counts if it is linked, which is for who holds them to see to; if its
// capability, that of the origin, stands at the time that the bundle says it was made; and if
// nothing cuts it off. Time rises within an origin, and where it does not, a fault cuts off
// what comes after: so what counts is a [Span] of sequences without a gap.
//
// Cuts only take away. Which operations of a bundle the capability covers is for who folds
// them: a bundle counts all the same.
package counting
