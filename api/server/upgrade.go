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
)

// session is an operation that takes its connection over.
type session struct {
	server   *Server
	protocol string
	serve    func(ctx context.Context, conn net.Conn) error
}

// Upgrade registers an operation that carries another protocol over its connection, and
// shows it in the API's document as op says. serve is done with the connection when it
// returns, which it does once its context is done. Such sessions are bounded apart from
// requests, by [Config.MaxSessions].
func (r *Router) Upgrade(protocol string, op *huma.Operation, serve func(ctx context.Context, conn net.Conn) error) {
	s := &session{r.server, protocol, serve}
	r.server.upgrades[op.Path] = true
	r.HandleFunc(op.Method+" "+op.Path, s.answer)
	r.api.OpenAPI().AddOperation(op)
}

// answer upgrades a connection and serves it to its end.
func (u *session) answer(w http.ResponseWriter, r *http.Request) {
	s := u.server
	if !strings.EqualFold(r.Header.Get("Connection"), "Upgrade") || r.Header.Get("Upgrade") != u.protocol {
		w.Header().Set("Upgrade", u.protocol)
		p := Problem(fmt.Errorf("%w: this operation needs the headers \"Connection: Upgrade\" and \"Upgrade: %s\"", api.ErrInvalid, u.protocol))
		p.Status = http.StatusUpgradeRequired
		writeProblem(w, p)
		return
	}
	select {
	case s.sessions <- struct{}{}:
		defer func() { <-s.sessions }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, fmt.Errorf("%w: %d sessions are open already", api.ErrUnavailable, s.cfg.MaxSessions))
		return
	}
	s.active.Add(1)
	defer s.active.Add(-1)
	conn, err := hijack(w, u.protocol)
	if err != nil {
		s.log.Warn("upgrading a connection", "protocol", u.protocol, "error", err)
		return
	}
	defer EndOnPanic()
	if err := u.serve(r.Context(), conn); err != nil {
		s.log.Warn("a session ended", "protocol", u.protocol, "error", err)
	}
}

// hijack answers 101 and takes the connection over.
func hijack(w http.ResponseWriter, protocol string) (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, err)
		return nil, err
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		err = fmt.Errorf("the client sent %d bytes before the answer", n)
	} else {
		_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
