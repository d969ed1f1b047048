// Package server answers a node's control API: one HTTP handler, served over TCP
// on loopback and over a unix socket in the repo.
//
//	listener ─▶ guard: host, origin, token, concurrency, body size
//	         ─▶ mux ─┬─ groups of operations (packages below this one), each behind
//	                 │  its gate: plain ones (huma: validation, OpenAPI, problem+json),
//	                 │  streams of progress (server-sent events), sessions (upgrade)
//	                 └─ /livez /readyz /version /metrics /debug/pprof/
//
// What the API does is the affair of the node and of the groups' backends; the server
// parses, guards, bounds and reports. Errors leave as application/problem+json with a stable code, see
// [api.Problem].
package server
