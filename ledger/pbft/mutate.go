//go:build !pbftmutants

package pbft

// mutant reports whether a fault is planted. In production none is: the calls
// compile to nothing.
func mutant(mutation) bool { return false }
