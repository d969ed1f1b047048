//go:build pbftmutants

package pbft

// mutations are the names of the faults, in their order.
var mutations = [...]string{
	"lowest-lock", "no-floor", "lonely-patience", "mute-change", "unordered", "no-shrink", "no-doubling", "any-lock",
	"any-new-view", "early-vote", "no-locks", "vote-anyway", "wrong-set", "needs-stable", "no-floor-pace", "no-censor",
	"hasty-blame", "blind-follow",
}

// planted is the fault that this process has, which the simulator must find.
var planted mutation

// Plant plants a fault, and reports whether there is one of that name. The empty
// name takes it out again. It is not safe for concurrent use with a Replica.
func Plant(name string) bool {
	planted = 0
	if name == "" {
		return true
	}
	for i, known := range mutations {
		if known == name {
			planted = mutation(i + 1)
			return true
		}
	}
	return false
}

func mutant(m mutation) bool { return planted == m }
