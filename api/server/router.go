package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// Group is the operations on one subject. A package below this one makes it from the
// interface that it needs for them.
type Group struct {
	// Name is what messages call the group.
	Name string
	// Register puts the operations on a router. It is called once.
	Register func(*Router)
	// Gate lets requests in; nil lets in all.
	Gate Gate
}

// Gate is asked before an operation of a group begins, and tells why it cannot be done, or
// returns the context that it is done with. leave is called when it has ended.
type Gate func(ctx context.Context) (inner context.Context, leave func(), err error)

// Router takes the operations of one group.
type Router struct {
	server *Server
	mux    *gatedMux
	api    *groupAPI
}

func newRouter(s *Server, mux *http.ServeMux, a huma.API, gate Gate) *Router {
	gated := &gatedMux{mux, gate}
	return &Router{s, gated, &groupAPI{huma.NewGroup(a), humago.NewAdapter(gated, "")}}
}

// API returns where huma registers operations, with their place in the API's document.
func (r *Router) API() huma.API { return r.api }

// HandleFunc registers a handler that the API's document does not show.
func (r *Router) HandleFunc(pattern string, h http.HandlerFunc) { r.mux.HandleFunc(pattern, h) }

// Log returns where an operation tells what its client is not told.
func (r *Router) Log() *slog.Logger { return r.server.log }

// groupAPI registers operations behind the gate of a group.
type groupAPI struct {
	*huma.Group

	adapter huma.Adapter
}

// Adapter implements huma.API.
func (g *groupAPI) Adapter() huma.Adapter { return g.adapter }

// gatedMux asks a gate before each request.
type gatedMux struct {
	*http.ServeMux

	gate Gate
}

// HandleFunc implements humago.Mux.
func (m *gatedMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	if m.gate == nil {
		m.ServeMux.HandleFunc(pattern, h)
		return
	}
	m.ServeMux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, leave, err := m.gate(r.Context())
		if err != nil {
			refuse(w, err)
			return
		}
		defer leave()
		h(w, r.WithContext(ctx))
	})
}

// CIDParam is the path parameter of everything that concerns one block. It is
// exported because huma looks into embedded structs only then.
type CIDParam struct {
	CID block.ID `path:"cid" doc:"CIDv1, raw or dag-cbor, sha2-256" example:"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"`
}

// reply wraps a body the way huma wants it.
type reply[T any] struct{ Body T }

// Get describes a read.
func Get(id, path, summary, tag string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: api.Prefix + path, Summary: summary, Tags: []string{tag}}
}

// Post describes a command.
func Post(id, path, summary, tag string) huma.Operation {
	op := Get(id, path, summary, tag)
	op.Method = http.MethodPost
	return op
}

// Handle registers an operation that answers with a T.
func Handle[I, T any](r *Router, op huma.Operation, run func(ctx context.Context, in *I) (T, error)) {
	huma.Register(r.API(), op, func(ctx context.Context, in *I) (*reply[T], error) {
		defer EndOnPanic()
		body, err := run(ctx, in)
		if err != nil {
			return nil, Problem(err)
		}
		return &reply[T]{body}, nil
	})
}

// EndOnPanic ends the process when the operation that defers it panics, as a panic does
// elsewhere. net/http would answer nobody and go on, with what was left half done, and locks
// that are held for ever. What huma panics with is left to net/http: a client that goes away
// while it is answered is enough for that.
func EndOnPanic() {
	p := recover()
	if p == nil {
		return
	}
	text := fmt.Sprintf("%v\n\n%s", p, debug.Stack())
	go panic(text) // nobody recovers there
	select {}
}

// Nothing is the input of operations without any.
type Nothing struct{}
