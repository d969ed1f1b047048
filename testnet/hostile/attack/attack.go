package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/ledger/pbft"
)

// Attack is one way to harm a peer.
type Attack struct {
	Name  string
	About string // what is done, in one sentence
	// Identities and Addresses are how many it takes where nothing else is asked for.
	Identities, Addresses int
	PerPrefix             int // how many of the addresses share a /24; 0 is 64
	Needs                 Needs
	Common                bool // it is on what every peer of libp2p speaks, or every one of the DHT
	TCP                   bool // it is made below libp2p, of TCP itself
	// Run attacks until ctx ends. An error means that the attack itself could not be
	// made, not that it was warded off; it calls Arena.Stand when all that it can get is
	// in place.
	Run func(ctx context.Context, a *Arena) error
}

// Needs are what the victim must be for an attack to meet it.
type Needs struct {
	Ledger bool // it serves a ledger
	// Committee has it be one of four validators of that ledger, of which the attackers are
	// another one.
	Committee bool
	Relay     bool // it relays for others
	Names     bool // it asks a name server of the attackers'
}

// Target is what is attacked.
type Target struct {
	Network string          // name of the swarm
	Victim  peer.AddrInfo   //
	Honest  []peer.AddrInfo // peers beside the victim, the first of which holds what is wanted
	Served  []string        // roots of snapshots that the victim holds
	Wanted  []string        // roots of snapshots that the victim is going to fetch
	// Traps are addresses that only the victim itself, or its own network, should be
	// able to name: loopback, link-local, private.
	Traps  []string
	Zone   string // a name whose /dnsaddr has hundreds of addresses, with Needs.Names
	Turned Turned
}

// Turned is a validator beside the victim whose key the attackers have, with
// Needs.Committee.
type Turned struct {
	Key     []byte      // its identity, as a repository keeps it
	Replica uint16      // its number in the committee
	Genesis pbft.Digest // of the ledger
}

// All returns the attacks in the order in which they are run.
func All() []Attack {
	return slices.Concat(frames(), connections(), places(), records(), providers(), promises(), services(), noise(), turned())
}

// Named returns the attacks of the given names, in the order of All, and all for none.
func Named(names []string) ([]Attack, error) {
	all := All()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Attack
	for _, a := range all {
		if slices.Contains(names, a.Name) {
			chosen = append(chosen, a)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(a Attack) bool { return a.Name == name }) {
			return nil, fmt.Errorf("no attack is called %q; there are %s", name, strings.Join(namesOf(all), ", "))
		}
	}
	return chosen, nil
}

func namesOf(all []Attack) []string {
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = a.Name
	}
	return out
}
