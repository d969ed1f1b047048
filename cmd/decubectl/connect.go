package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/version"
)

// defaultSearch bounds searches that have no end of their own.
const defaultSearch = time.Minute

// daemon returns a client of a daemon that answers.
func (e *env) daemon(ctx context.Context) (*client.Client, error) {
	c, err := e.reach(ctx)
	if err == nil || !errors.Is(err, api.ErrUnreachable) {
		return c, err
	}
	if e.url != "" {
		return nil, err
	}
	return nil, fmt.Errorf("%w; start it with \"decube-node daemon\", or name another repository with --repo or %s", err, repo.EnvPath)
}

// reach is daemon without advice: it returns api.ErrUnreachable when none answers.
func (e *env) reach(ctx context.Context) (*client.Client, error) {
	if e.url == "" {
		if err := repo.Check(e.repo); err != nil {
			return nil, err
		}
	}
	c, err := client.New(client.Options{Repo: e.repo, URL: e.url, UserAgent: version.Get().UserAgent("decubectl")})
	if err != nil {
		return nil, err
	}
	if _, err := c.Version(ctx); err != nil {
		return nil, err
	}
	return c, nil
}
