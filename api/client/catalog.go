package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/decube/decube/api"
)

// CatalogPath names a document of the catalog.
type CatalogPath struct {
	Space      string // peer ID, empty where that is not said
	Collection string
	Key        string // may hold slashes
}

// String returns collection/key, with ~SPACE/ before it where there is one.
func (p CatalogPath) String() string {
	if p.Space == "" {
		return p.Collection + "/" + p.Key
	}
	return "~" + p.Space + "/" + p.Collection + "/" + p.Key
}

// url returns the path of the document in the API.
func (p CatalogPath) url() string {
	path := "/catalog/" + escapeSegment(p.Collection) + "/" + escapeSegment(p.Key)
	if p.Space != "" {
		path += "?space=" + url.QueryEscape(p.Space)
	}
	return path
}

// escapeSegment escapes a text for one segment of a path. Those of dots alone have a meaning
// of their own otherwise.
func escapeSegment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// CatalogGet returns the documents at a path: of one space, or of all where none is named. It
// returns api.ErrNotFound where there is none.
func (c *Client) CatalogGet(ctx context.Context, path CatalogPath) (out []api.CatalogDocument, err error) {
	return out, get(ctx, c, path.url(), &out)
}

// CatalogPut changes a document, and returns once the change is on the node's disk.
func (c *Client) CatalogPut(ctx context.Context, path CatalogPath, operations []api.CatalogOperation) (out api.CatalogWritten, err error) {
	return out, c.call(ctx, http.MethodPut, api.Prefix+path.url(), api.CatalogWrite{Operations: operations}, &out)
}

// CatalogDelete deletes a document as far as the node has seen it.
func (c *Client) CatalogDelete(ctx context.Context, path CatalogPath) (out api.CatalogWritten, err error) {
	return out, c.call(ctx, http.MethodDelete, api.Prefix+path.url(), nil, &out)
}

// CatalogList say which documents are listed; what is empty does not matter.
type CatalogList struct {
	Space      string // peer ID
	Collection string
	After      string // exact path after which the list goes on
	Limit      int    // 1 to 1000; 0 is the node's default
}

// CatalogList returns documents in order of their exact paths.
func (c *Client) CatalogList(ctx context.Context, list CatalogList) (out []api.CatalogDocument, err error) {
	query := url.Values{}
	for name, text := range map[string]string{"space": list.Space, "collection": list.Collection, "after": list.After} {
		if text != "" {
			query.Set(name, text)
		}
	}
	if list.Limit > 0 {
		query.Set("limit", strconv.Itoa(list.Limit))
	}
	path := "/catalog"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return out, get(ctx, c, path, &out)
}

// CatalogQuery says what is asked for; what is empty does not matter.
type CatalogQuery struct {
	Query      string // in the query language
	Space      string // peer ID
	Collection string
	Order      string // FIELD, FIELD:asc or FIELD:desc
	After      string // cursor of the page before
	Limit      int    // at most 1000; 0 is none, for who counts
}

// CatalogQuery returns a page of the documents that match a query.
func (c *Client) CatalogQuery(ctx context.Context, q CatalogQuery) (out api.CatalogPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	for name, text := range map[string]string{"q": q.Query, "space": q.Space, "collection": q.Collection, "order": q.Order, "after": q.After} {
		if text != "" {
			query.Set(name, text)
		}
	}
	return out, get(ctx, c, "/catalog/query?"+query.Encode(), &out)
}

// CatalogStatus returns how the catalog is on the node.
func (c *Client) CatalogStatus(ctx context.Context) (out api.CatalogStatus, err error) {
	return out, get(ctx, c, "/catalog-status", &out)
}
