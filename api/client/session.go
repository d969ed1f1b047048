package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
)

// OpenSession opens a block session, which outlives ctx: that bounds only the
// opening. The session must be closed.
func (c *Client) OpenSession(ctx context.Context, opts blocksession.Options) (*blocksession.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, c.failed(ctx, "opening a block session with", err)
	}
	if err := c.upgrade(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return blocksession.New(conn, opts), nil
}

// upgrade makes conn, a fresh connection to the daemon, a block session.
func (c *Client) upgrade(ctx context.Context, conn net.Conn) error {
	req, err := c.newRequest(ctx, http.MethodPost, api.SessionPath, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", api.SessionProtocol)
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return c.failed(ctx, "opening a block session with", err)
		}
	}
	if err := req.Write(conn); err != nil {
		return c.failed(ctx, "opening a block session with", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytewise{conn}), req)
	if err != nil {
		return c.failed(ctx, "opening a block session with", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		defer res.Body.Close()
		return c.problem(res)
	}
	if got := res.Header.Get("Upgrade"); got != api.SessionProtocol {
		return fmt.Errorf("%w: the daemon at %s speaks %q, this program %q; use the same version of both", api.ErrInvalid, c.where, got, api.SessionProtocol)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return c.failed(ctx, "opening a block session with", err)
	}
	return nil
}

// bytewise reads single bytes, so that a buffered reader takes no more than it
// needs: what follows the answer's header belongs to the session.
type bytewise struct{ r io.Reader }

func (b bytewise) Read(p []byte) (int, error) { return b.r.Read(p[:min(len(p), 1)]) }
