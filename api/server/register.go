package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// CIDParam is the path parameter of everything that concerns one block. It is
// exported because huma looks into embedded structs only then.
type CIDParam struct {
	CID block.ID `path:"cid" doc:"CIDv1, raw or dag-cbor, sha2-256" example:"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"`
}

// reply wraps a body the way huma wants it.
type reply[T any] struct{ Body T }

// register puts every operation on the mux.
func (s *Server) register(mux *http.ServeMux) {
	a := newAPI(mux)
	s.registerProbes(mux, a)
	s.registerNode(a)
	s.registerSwarm(a)
	s.registerRepo(a)
	s.registerSnapshots(a)
	s.registerBlocks(mux, a)
	s.registerLedger(a)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	if s.backend.Metrics != nil {
		mux.Handle("GET /metrics", s.backend.Metrics)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, fmt.Errorf("%w: there is no operation %s %s; /openapi.yaml lists them", api.ErrNotFound, r.Method, r.URL.Path))
	})
}

// newAPI returns the huma API on mux: OpenAPI at /openapi.json and /openapi.yaml,
// no documentation page (the library's loads scripts from elsewhere) and no
// schema links in answers.
func newAPI(mux *http.ServeMux) huma.API {
	useProblems()
	cfg := huma.DefaultConfig("DeCube node control API", "1")
	cfg.Info.Description = "Controls one DeCube node. Errors are problem+json with a stable code; long operations answer with server-sent events."
	cfg.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	cfg.DocsPath = ""
	cfg.SchemasPath = ""
	cfg.CreateHooks = nil
	cfg.RejectUnknownQueryParameters = true
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "The text of the repo's file api-token."},
	}
	cfg.Security = []map[string][]string{{"token": {}}}
	return humago.New(mux, cfg)
}

// get describes a read.
func get(id, path, summary, tag string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: api.Prefix + path, Summary: summary, Tags: []string{tag}}
}

// post describes a command.
func post(id, path, summary, tag string) huma.Operation {
	op := get(id, path, summary, tag)
	op.Method = http.MethodPost
	return op
}

// handle registers an operation that answers with a T.
func handle[I, T any](a huma.API, op huma.Operation, run func(ctx context.Context, in *I) (T, error)) {
	huma.Register(a, op, func(ctx context.Context, in *I) (*reply[T], error) {
		body, err := run(ctx, in)
		if err != nil {
			return nil, problem(err)
		}
		return &reply[T]{body}, nil
	})
}

// nothing is the input of operations without any.
type nothing struct{}

func (s *Server) registerProbes(mux *http.ServeMux, a huma.API) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.backend.Node.Ready(); err != nil {
			refuse(w, fmt.Errorf("%w: not ready: %w", api.ErrUnavailable, err))
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	version := get("version", "", "What the daemon was built from", "node")
	version.Path, version.Security = "/version", []map[string][]string{}
	handle(a, version, func(context.Context, *nothing) (api.Version, error) { return s.backend.Node.Version(), nil })
}
