// Package client calls a node's control API. It finds the daemon of a repo by
// the files that the daemon leaves there, prefers its unix socket over TCP, and
// turns problems back into errors that wrap the sentinels of package api.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/internal/sockpath"
	"github.com/decube/decube/internal/repo"
)

const (
	dialTimeout = 5 * time.Second
	// maxAnswer bounds an answer that is read whole: a list of 100,000 snapshots with
	// long paths and tags.
	maxAnswer = 256 << 20
)

// Options say which daemon to call.
type Options struct {
	// Repo is the directory of the daemon's repo: its token is read there, and its
	// address unless URL is set.
	Repo string
	// URL, such as http://127.0.0.1:8080, names a daemon directly.
	URL string
	// UserAgent is told to the daemon.
	UserAgent string
}

// Client calls one daemon. Its methods may be called concurrently. Their errors
// wrap the sentinels of package api: api.ErrUnreachable when nothing answers,
// api.ErrTimeout when ctx's deadline passed.
type Client struct {
	base  *url.URL
	where string // for error messages
	token string
	// tokenFile is where the token was read, for error messages.
	tokenFile string
	agent     string
	dial      func(ctx context.Context) (net.Conn, error)
	http      *http.Client
}

// New returns a client without calling the daemon yet. It returns
// api.ErrUnreachable when the repo shows no running daemon, and the errors of
// package repo for a repo or token that cannot be read.
func New(opts Options) (*Client, error) {
	c := &Client{agent: opts.UserAgent}
	if err := c.locate(opts); err != nil {
		return nil, err
	}
	token, err := repo.ReadToken(opts.Repo)
	if err != nil {
		return nil, fmt.Errorf("calling the daemon: %w", err)
	}
	c.token, c.tokenFile = token, repo.Dir(opts.Repo).Token()
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		DisableCompression: true,
	}}
	return c, nil
}

// locate sets base, where and dial.
func (c *Client) locate(opts Options) error {
	var d net.Dialer
	if opts.URL == "" {
		socket := repo.Dir(opts.Repo).Socket()
		if _, err := os.Stat(socket); err == nil {
			c.base = &url.URL{Scheme: "http", Host: "localhost"}
			c.where = socket
			c.dial = func(ctx context.Context) (net.Conn, error) { return dialUnix(ctx, socket) }
			return nil
		}
	}
	address := opts.URL
	if address == "" {
		var err error
		if address, err = repo.ReadAPI(opts.Repo); err != nil {
			return fmt.Errorf("%w: %w", api.ErrUnreachable, err)
		}
	}
	base, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || base.Scheme != "http" || base.Host == "" {
		return fmt.Errorf("%w: API address %q, want a URL such as http://127.0.0.1:8080", api.ErrInvalid, address)
	}
	c.base, c.where = base, base.String()
	c.dial = func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", base.Host) }
	return nil
}

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	short, release, err := sockpath.Short(path)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short)
	return conn, errors.Join(err, release())
}

// Where returns the socket or URL that the client calls.
func (c *Client) Where() string { return c.where }

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call asks for an operation and decodes its answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	res, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.failed(ctx, "reading the answer of", err)
	case len(body) > maxAnswer:
		return fmt.Errorf("%w: the daemon at %s answers with more than %d bytes", api.ErrTooLarge, c.where, maxAnswer)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the daemon at %s answers %s %s with something else than it should: %w", c.where, method, path, err)
	}
	return nil
}

// request sends a request and returns an answer that is no problem; its body must
// be closed.
func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	req, err := c.newRequest(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(ctx, "calling", err)
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		return nil, c.problem(res)
	}
	return res, nil
}

func (c *Client) newRequest(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", c.agent)
	return req, nil
}

// failed classifies an error of the connection.
func (c *Client) failed(ctx context.Context, doing string, err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	sentinel := api.ErrUnreachable
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		sentinel = api.ErrTimeout
	}
	return fmt.Errorf("%w: %s the daemon at %s: %w", sentinel, doing, c.where, err)
}

// problem reads the problem of an answer. An answer that is none came from
// something else than a daemon.
func (c *Client) problem(res *http.Response) error {
	p := new(api.Problem)
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || json.Unmarshal(raw, p) != nil || p.Code == "" {
		return fmt.Errorf("%w: what answers at %s is no DeCube daemon (%s)", api.ErrUnreachable, c.where, res.Status)
	}
	if errors.Is(p, api.ErrUnauthorised) {
		return fmt.Errorf("%w; the token in %s is not that of the daemon at %s", p, c.tokenFile, c.where)
	}
	return p
}
