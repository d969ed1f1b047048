// Package catalogapi is the API's operations on the catalog.
package catalogapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// maxBody is the most bytes of a request: no bundle is of more than 64 KiB, and JSON needs six
// bytes for some that are one in a bundle, and some words for each operation.
const maxBody = 1 << 20

// errNone is why there is no catalog, where nobody has said.
var errNone = fmt.Errorf("%w: this node has no catalog", api.ErrUnavailable)

// problem gives an error of the catalog the sentinel that a client can branch on.
func problem(err error) error {
	switch {
	case errors.Is(err, crdtsync.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, crdtsync.ErrDenied):
		return fmt.Errorf("%w: %w", api.ErrForbidden, err)
	case errors.Is(err, crdtsync.ErrQuota):
		return fmt.Errorf("%w: %w", api.ErrNoSpace, err)
	case errors.Is(err, crdtsync.ErrClosed):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	case errors.Is(err, crdtsync.ErrInvalid), errors.Is(err, crdtsync.ErrQuery):
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return err
}

// routes are the operations, and what they are done with.
type routes struct {
	*server.Router

	catalog crdtsync.API // nil without one
	none    error        // why there is none
}

// Group returns the operations on a catalog.
func Group(c crdtsync.API) server.Group {
	return server.Group{Name: "catalog", Register: func(r *server.Router) { (&routes{r, c, errNone}).register() }}
}

// None returns the operations for a node without a catalog: each is answered
// api.ErrUnavailable, with the reason where it is not nil.
func None(why error) server.Group {
	err := errNone
	if why != nil {
		err = fmt.Errorf("%w: %w", errNone, why)
	}
	return server.Group{Name: "catalog", Register: func(r *server.Router) { (&routes{r, nil, err}).register() }}
}

// ofCatalog registers an operation on the catalog that answers with a T.
func ofCatalog[I, T any](s *routes, op huma.Operation, run func(ctx context.Context, c crdtsync.API, in *I) (T, error)) {
	server.Handle(s.Router, op, func(ctx context.Context, in *I) (T, error) {
		if s.catalog == nil {
			var none T
			return none, s.none
		}
		out, err := run(ctx, s.catalog, in)
		return out, problem(err)
	})
}

// DocumentParams name a document. They are exported because huma looks into embedded structs
// only then.
type DocumentParams struct {
	Collection string `path:"collection" doc:"Collection of the document" maxLength:"1024"`
	Key        string `path:"key" doc:"Key of the document in its collection. It may hold slashes, which are written %2F here" maxLength:"1024"`
	Space      string `query:"space" doc:"Peer ID of whose space is meant. Without one all spaces are read, and this node's own is written" maxLength:"64"`
}

// path returns the document's path, exact where a space is named.
func (p *DocumentParams) path() (string, error) {
	collection, err := inSpace(p.Space, p.Collection)
	if err == nil && strings.Contains(p.Collection, "/") {
		err = fmt.Errorf("%w: collection %q, want one without a slash", api.ErrInvalid, p.Collection)
	}
	return collection + "/" + p.Key, err
}

// inSpace returns the beginning of the paths of a collection in a space. Either may be empty.
func inSpace(space, collection string) (string, error) {
	if strings.HasPrefix(collection, "~") {
		return "", fmt.Errorf("%w: collection %q, want one that does not begin with ~; a space is the query parameter space, without it", api.ErrInvalid, collection)
	}
	if space == "" {
		return collection, nil
	}
	key, err := sig.ParsePublicKey(space)
	if err != nil {
		return "", fmt.Errorf("%w: space: %w", api.ErrInvalid, err)
	}
	if collection == "" {
		return strings.TrimSuffix(capability.Space(key), "/"), nil
	}
	return capability.Space(key) + collection, nil
}

type listInput struct {
	Collection string `query:"collection" doc:"Only documents of this collection" maxLength:"1024"`
	Space      string `query:"space" doc:"Only documents of this peer ID's space" maxLength:"64"`
	After      string `query:"after" doc:"Only documents whose exact path comes after this one" maxLength:"1024"`
	Limit      int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most"`
}

type queryInput struct {
	Query      string `query:"q" doc:"What documents have to match, in the query language: cluster = \"a\" AND size > 1GB AND NOT tags:old; all where it is left out" maxLength:"4096"`
	Collection string `query:"collection" doc:"Only documents of this collection" maxLength:"1024"`
	Space      string `query:"space" doc:"Only documents of this peer ID's space" maxLength:"64"`
	Order      string `query:"order" doc:"FIELD, FIELD:asc or FIELD:desc; by their exact paths where it is left out" maxLength:"300"`
	After      string `query:"after" doc:"Cursor of the page before, with the same order" maxLength:"65536"`
	Limit      int    `query:"limit" minimum:"0" maximum:"1000" default:"100" doc:"How many at most; 0 is none, for who counts"`
}

type writeInput struct {
	DocumentParams

	Body api.CatalogWrite
}

const documentPath = "/catalog/{collection}/{key}"

func (s *routes) register() {
	ofCatalog(s, server.Get("catalog-list", "/catalog", "Documents, in order of their exact paths", "catalog"),
		func(ctx context.Context, c crdtsync.API, in *listInput) ([]api.CatalogDocument, error) {
			collection, err := inSpace(in.Space, in.Collection)
			if err != nil {
				return nil, err
			}
			all, err := c.List(ctx, crdtsync.ListOptions{Collection: collection, After: in.After, Limit: in.Limit})
			return documentsOf(all), err
		})
	find := server.Get("catalog-query", "/catalog/query", "Documents that match a query", "catalog")
	find.Description = "What is wrong with a query is said with the column where it is. A field that no document has that was looked at is wrong too."
	ofCatalog(s, find, func(ctx context.Context, c crdtsync.API, in *queryInput) (api.CatalogPage, error) {
		collection, err := inSpace(in.Space, in.Collection)
		if err != nil {
			return api.CatalogPage{}, err
		}
		res, err := c.Query(ctx, crdtsync.QueryOptions{
			Expression: in.Query, Collection: collection, Order: in.Order, After: in.After, Limit: max(1, in.Limit),
		})
		if in.Limit == 0 {
			res.Documents, res.Next = nil, ""
		}
		return api.CatalogPage{Documents: documentsOf(res.Documents), Next: res.Next, Matched: res.Matched, Looked: res.Looked}, err
	})
	ofCatalog(s, server.Get("catalog-status", "/catalog-status", "How the catalog is, and which peers it is in step with", "catalog"),
		func(ctx context.Context, c crdtsync.API, _ *server.Nothing) (api.CatalogStatus, error) {
			st, err := c.Status(ctx)
			return statusOf(&st), err
		})
	get := server.Get("catalog-get", documentPath, "The documents at a path, one in each space at most", "catalog")
	ofCatalog(s, get, func(ctx context.Context, c crdtsync.API, in *DocumentParams) ([]api.CatalogDocument, error) {
		path, err := in.path()
		if err != nil {
			return nil, err
		}
		all, err := c.Documents(ctx, path)
		return documentsOf(all), err
	})
	put := server.Get("catalog-put", documentPath, "Change a document", "catalog")
	put.Method, put.MaxBodyBytes = http.MethodPut, maxBody
	put.Description = "Answers once the change is on this node's disk; peers learn of it when messages flow. A document begins to exist with the first change."
	ofCatalog(s, put, func(ctx context.Context, c crdtsync.API, in *writeInput) (api.CatalogWritten, error) {
		path, err := in.path()
		if err != nil {
			return api.CatalogWritten{}, err
		}
		operations, err := operationsOf(path, in.Body.Operations)
		if err != nil {
			return api.CatalogWritten{}, err
		}
		return write(ctx, c, operations)
	})
	remove := server.Get("catalog-delete", documentPath, "Delete a document, as far as this node has seen it", "catalog")
	remove.Method = http.MethodDelete
	remove.Description = "What others have written without knowledge of the deletion stays."
	ofCatalog(s, remove, func(ctx context.Context, c crdtsync.API, in *DocumentParams) (api.CatalogWritten, error) {
		path, err := in.path()
		if err != nil {
			return api.CatalogWritten{}, err
		}
		return write(ctx, c, []bundle.Operation{{Kind: bundle.Delete, Document: path}})
	})
}

func write(ctx context.Context, c crdtsync.API, operations []bundle.Operation) (api.CatalogWritten, error) {
	w, err := c.Write(ctx, operations)
	if err != nil {
		return api.CatalogWritten{}, err
	}
	return api.CatalogWritten{Paths: append([]string{}, w.Paths...), Bundle: w.Bundle.String(), Time: w.Time.UTC()}, nil
}
