package server

import (
	"context"

	"github.com/decube/decube/api"
)

// registerNode puts on a router what concerns the node as a whole.
func (s *Server) registerNode(r *Router) {
	Handle(r, Get("id", "/id", "Who the node is and where it listens", "node"),
		func(ctx context.Context, _ *Nothing) (api.Identity, error) { return s.backend.Node.Identity(ctx) })
	Handle(r, Get("status", "/status", "The node's state in a few figures", "node"),
		func(ctx context.Context, _ *Nothing) (api.Status, error) {
			st, err := s.backend.Node.Status(ctx)
			st.Sessions = int(s.active.Load())
			return st, err
		})
}
