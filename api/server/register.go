package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/decube/decube/api"
)

// register puts every operation on the mux.
func (s *Server) register(mux *http.ServeMux) {
	a := newAPI(mux)
	own := newRouter(s, mux, a, nil)
	s.registerProbes(own)
	s.registerNode(own)
	for _, g := range s.backend.Groups {
		g.Register(newRouter(s, mux, a, g.Gate))
	}
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

func (s *Server) registerProbes(r *Router) {
	r.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	r.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.backend.Node.Ready(); err != nil {
			refuse(w, fmt.Errorf("%w: not ready: %w", api.ErrUnavailable, err))
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	version := Get("version", "", "What the daemon was built from", "node")
	version.Path, version.Security = "/version", []map[string][]string{}
	Handle(r, version, func(context.Context, *Nothing) (api.Version, error) { return s.backend.Node.Version(), nil })
}
