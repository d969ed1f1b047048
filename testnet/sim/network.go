package sim

import "github.com/decube/decube/testnet/sim/kernel"

// Network is how messages travel.
type Network = kernel.Conditions

// newNetwork returns the network between a world's nodes.
func newNetwork(w *world) *kernel.Network[any] {
	return kernel.NewNetwork(&w.scheduler, w.rnd.net, len(w.nodes), w.cfg.Before, func(from, to int, payload any) {
		w.nodes[to].receive(from, payload)
	})
}

// send puts something on the way from one node to another.
func (w *world) send(from, to int, payload any) { w.net.Send(from, to, payload, 0) }
