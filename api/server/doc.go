// Package server answers a node's control API: one HTTP handler, served over TCP
// on loopback and over a unix socket in the repo.
//
//	listener ─▶ guard: host, origin, token, concurrency, body size
//	         ─▶ mux ─┬─ operations (huma: validation, OpenAPI, problem+json)
//	                 ├─ streams of progress (server-sent events)
//	                 ├─ block session (upgrade, package blocksession)
//	                 └─ /livez /readyz /version /metrics /debug/pprof/
//
// What the API does is the [Backend]'s affair; the server parses, guards, bounds
// and reports. Errors leave as application/problem+json with a stable code, see
// [api.Problem].
package server
