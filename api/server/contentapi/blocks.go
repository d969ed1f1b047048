package contentapi

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/block"
)

func (b Backend) registerBlocks(r *server.Router) {
	chunk := server.Get("chunk-get", "/chunks/{cid}", "A block's bytes, verified", "blocks")
	chunk.Responses = map[string]*huma.Response{"200": {
		Description: "The block",
		Content:     map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(r.API(), chunk, b.chunk)

	r.Upgrade(api.SessionProtocol, &huma.Operation{
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
	}, func(ctx context.Context, conn net.Conn) error {
		err := blocksession.Serve(ctx, conn, b.Blocks, b.Session)
		if errors.Is(err, blocksession.ErrClosed) {
			return nil
		}
		return err
	})
}

type chunkInput struct {
	server.CIDParam

	Network bool `query:"network" doc:"Ask peers for a block that is not held"`
}

type chunkOutput struct {
	ContentType string `header:"Content-Type"`
	CID         string `header:"X-Decube-Cid"`
	Body        []byte
}

func (b Backend) chunk(ctx context.Context, in *chunkInput) (*chunkOutput, error) {
	defer server.EndOnPanic()
	data, err := b.Blocks.GetUnverified(ctx, in.CID, in.Network, nil)
	if err != nil {
		return nil, server.Problem(err)
	}
	blk, err := block.Check(in.CID, data)
	if err != nil {
		return nil, server.Problem(err)
	}
	return &chunkOutput{ContentType: "application/octet-stream", CID: in.CID.String(), Body: blk.Data()}, nil
}
