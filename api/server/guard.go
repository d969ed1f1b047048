package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/repo"
)

// networkKey is the context key for the network a request came over.
type networkKey struct{}

func withNetwork(ctx context.Context, addr net.Addr) context.Context {
	return context.WithValue(ctx, networkKey{}, addr.Network())
}

// open are the paths that need no token: they tell nothing about the node but
// that it is there.
var openPaths = []string{"/livez", "/readyz", "/version"}

// guard refuses what must not reach an operation, and bounds what may.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		authorised := s.authorised(r)
		if !authorised {
			s.hurry(w)
		}
		if network, _ := r.Context().Value(networkKey{}).(string); network != "unix" {
			if err := s.checkBrowser(r); err != nil {
				refuse(w, err)
				return
			}
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
		if slices.Contains(openPaths, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if !authorised {
			h.Set("WWW-Authenticate", `Bearer realm="decube"`)
			refuse(w, fmt.Errorf("%w: %s %s needs the token of the repo's file api-token, sent as \"Authorization: Bearer TOKEN\"",
				api.ErrUnauthorised, r.Method, r.URL.Path))
			return
		}
		if r.ContentLength > s.cfg.MaxBody {
			refuse(w, fmt.Errorf("%w: the body has %d bytes, at most %d are taken", api.ErrTooLarge, r.ContentLength, s.cfg.MaxBody))
			return
		}
		if s.upgrades[r.URL.Path] { // they have their own bound
			next.ServeHTTP(w, r)
			return
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
			next.ServeHTTP(w, r)
		default:
			h.Set("Retry-After", "1")
			refuse(w, fmt.Errorf("%w: %d requests are running already", api.ErrUnavailable, s.cfg.MaxRequests))
		}
	})
}

// hurry bounds how long a client may take over the rest of its request and over its answer. net/http
// reads what is left of a body before it answers, for as long as that takes, and a connection that is
// busy makes room for nobody. Whoever has the token may be slow.
func (s *Server) hurry(w http.ResponseWriter) {
	c, until := http.NewResponseController(w), time.Now().Add(s.cfg.HeaderTimeout)
	_ = c.SetReadDeadline(until) // a handler that is served by something else has no deadlines
	_ = c.SetWriteDeadline(until)
}

func (s *Server) authorised(r *http.Request) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return ok && strings.EqualFold(scheme, "Bearer") && repo.EqualTokens(strings.TrimSpace(token), s.cfg.Token)
}

// checkBrowser refuses what only a browser that was led here by some web page
// sends: a Host that is not ours (DNS rebinding), or a request across origins.
func (s *Server) checkBrowser(r *http.Request) error {
	if !s.ourHost(r.Host) {
		return fmt.Errorf("%w: the Host header is %q, which is not a name of this node", api.ErrForbidden, r.Host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return fmt.Errorf("%w: the request comes from another web site", api.ErrForbidden)
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return fmt.Errorf("%w: the request comes from the web site %q", api.ErrForbidden, origin)
		}
	}
	return nil
}

func (s *Server) ourHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || slices.Contains(s.cfg.Hosts, host)
	}
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// refuse answers with err as a problem, outside the operations.
func refuse(w http.ResponseWriter, err error) { writeProblem(w, Problem(err)) }

func writeProblem(w http.ResponseWriter, p *api.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that went away is no concern
}
