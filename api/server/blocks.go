package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/block"
)

func (s *Server) registerBlocks(mux *http.ServeMux, a huma.API) {
	chunk := get("chunk-get", "/chunks/{cid}", "A block's bytes, verified", "blocks")
	chunk.Responses = map[string]*huma.Response{"200": {
		Description: "The block",
		Content:     map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(a, chunk, s.chunk)

	mux.HandleFunc("POST "+api.SessionPath, s.session)
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "blocks-session", Method: http.MethodPost, Path: api.SessionPath,
		Summary:     "Carry blocks both ways in one stream",
		Description: "Upgrades the connection to " + api.SessionProtocol + ", a binary protocol described in docs/api.md.",
		Tags:        []string{"blocks"},
		Parameters: []*huma.Param{
			{Name: "Connection", In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"Upgrade"}}},
			{Name: "Upgrade", In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{api.SessionProtocol}}},
		},
		Responses: map[string]*huma.Response{
			"101": {Description: "The connection carries frames from now on"},
			"426": {Description: "The protocol asked for is not spoken here"},
			"503": {Description: "Too many sessions are open"},
		},
	})
}

type chunkInput struct {
	CIDParam

	Network bool `query:"network" doc:"Ask peers for a block that is not held"`
}

type chunkOutput struct {
	ContentType string `header:"Content-Type"`
	CID         string `header:"X-Decube-Cid"`
	Body        []byte
}

func (s *Server) chunk(ctx context.Context, in *chunkInput) (*chunkOutput, error) {
	data, err := s.backend.Blocks.GetUnverified(ctx, in.CID, in.Network, nil)
	if err != nil {
		return nil, problem(err)
	}
	b, err := block.Check(in.CID, data)
	if err != nil {
		return nil, problem(err)
	}
	return &chunkOutput{ContentType: "application/octet-stream", CID: in.CID.String(), Body: b.Data()}, nil
}

// session upgrades a connection to a block session and serves it to its end.
func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Connection"), "Upgrade") || r.Header.Get("Upgrade") != api.SessionProtocol {
		w.Header().Set("Upgrade", api.SessionProtocol)
		p := problem(fmt.Errorf("%w: a block session needs the headers \"Connection: Upgrade\" and \"Upgrade: %s\"", api.ErrInvalid, api.SessionProtocol))
		p.Status = http.StatusUpgradeRequired
		writeProblem(w, p)
		return
	}
	select {
	case s.sessions <- struct{}{}:
		defer func() { <-s.sessions }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, fmt.Errorf("%w: %d block sessions are open already", api.ErrUnavailable, s.cfg.MaxSessions))
		return
	}
	s.open.Add(1)
	defer s.open.Done()
	s.active.Add(1)
	defer s.active.Add(-1)
	conn, err := hijack(w)
	if err != nil {
		s.log.Warn("upgrading to a block session", "error", err)
		return
	}
	err = blocksession.Serve(r.Context(), conn, s.backend.Blocks, s.cfg.Session)
	if err != nil && !errors.Is(err, blocksession.ErrClosed) {
		s.log.Warn("block session ended", "error", err)
	}
}

// hijack answers 101 and takes the connection over.
func hijack(w http.ResponseWriter) (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, err)
		return nil, err
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		err = fmt.Errorf("the client sent %d bytes before the answer", n)
	} else {
		_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.SessionProtocol)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
