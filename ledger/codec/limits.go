package codec

// Limits bound what a decoder takes in, before it allocates. A field of 0 stands
// for the largest value that any ledger has.
type Limits struct {
	// Replicas is the most replicas of a committee.
	Replicas int
	// Window is the most blocks in flight.
	Window int
}
