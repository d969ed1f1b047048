package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/sig"
)

// Types of the values of the catalog.
const (
	CatalogText   = "text"
	CatalogNumber = "number"
	CatalogWhole  = "whole"
	CatalogBool   = "bool"
	CatalogSize   = "size"
	CatalogTime   = "time"
)

// Operations on a document of the catalog.
const (
	CatalogSet    = "set"
	CatalogAdd    = "add"
	CatalogRemove = "remove"
	CatalogCount  = "count"
	CatalogClear  = "clear"
)

// CatalogValue is what a field or an element holds.
type CatalogValue struct {
	Type  string          `json:"type" doc:"What it is: a whole number has 64 bits, a size is in bytes, a time is RFC 3339 and cut to milliseconds" enum:"text,number,whole,bool,size,time"`
	Value json.RawMessage `json:"value" doc:"A string for text and time, a number for number, whole and size, true or false for bool"`
}

// NewCatalogValue returns a value as the API has it. It must have a type.
func NewCatalogValue(v bundle.Value) CatalogValue {
	switch v.Type() {
	case bundle.Number:
		return CatalogValue{CatalogNumber, json.RawMessage(v.String())}
	case bundle.Whole:
		return CatalogValue{CatalogWhole, json.RawMessage(v.String())}
	case bundle.Bool:
		return CatalogValue{CatalogBool, json.RawMessage(v.String())}
	case bundle.Size:
		return CatalogValue{CatalogSize, json.RawMessage(v.String())}
	case bundle.Instant:
		return CatalogValue{CatalogTime, quoteJSON(v.String())}
	default:
		return CatalogValue{CatalogText, quoteJSON(v.Text())}
	}
}

func quoteJSON(s string) json.RawMessage {
	raw, _ := json.Marshal(s) // there is no string that it fails for
	return raw
}

// Decode returns the value that it stands for, or ErrInvalid.
func (v CatalogValue) Decode() (bundle.Value, error) {
	raw := string(bytes.TrimSpace(v.Value))
	switch v.Type {
	case CatalogText:
		var s string
		if decodeJSON(raw, &s) {
			return bundle.TextValue(s), nil
		}
	case CatalogNumber:
		var f float64
		if decodeJSON(raw, &f) {
			return bundle.NumberValue(f), nil
		}
	case CatalogWhole:
		if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
			return bundle.WholeValue(n), nil
		}
	case CatalogBool:
		var b bool
		if decodeJSON(raw, &b) {
			return bundle.BoolValue(b), nil
		}
	case CatalogSize:
		if n, err := strconv.ParseInt(raw, 10, 64); err == nil && n >= 0 {
			return bundle.SizeValue(n), nil
		}
	case CatalogTime:
		var t time.Time
		if decodeJSON(raw, &t) {
			return bundle.InstantValue(t), nil
		}
	default:
		return bundle.Value{}, fmt.Errorf("%w: there is no type %q, want text, number, whole, bool, size or time", ErrInvalid, v.Type)
	}
	return bundle.Value{}, fmt.Errorf("%w: %.100s is no %s", ErrInvalid, raw, v.Type)
}

// decodeJSON reports whether raw is JSON for out. The word null, which decodes into anything,
// is for nothing.
func decodeJSON(raw string, out any) bool {
	return raw != "null" && json.Unmarshal([]byte(raw), out) == nil
}

// CatalogOperation is one change of a document.
type CatalogOperation struct {
	Op      string        `json:"op" doc:"set: give a field a value; add: put an element into a set, or an entry with its value into a map; remove: take one out; count: add an amount to a counter; clear: empty a field" enum:"set,add,remove,count,clear"`
	Field   string        `json:"field" doc:"Name of the field" minLength:"1" maxLength:"256"`
	Element string        `json:"element,omitempty" doc:"The element, of add and remove" maxLength:"1024"`
	Value   *CatalogValue `json:"value,omitempty" doc:"The value, of set, and of add for an entry of a map"`
	Amount  int64         `json:"amount,omitempty" doc:"What is added, of count; below 0 to subtract"`
}

// CatalogWrite is a change of a document.
type CatalogWrite struct {
	Operations []CatalogOperation `json:"operations" doc:"What is changed, all of it or nothing" minItems:"1" maxItems:"4096"`
}

// CatalogWritten is a change that is on the node's disk.
type CatalogWritten struct {
	Paths  []string  `json:"paths" doc:"Exact paths of the documents that were changed"`
	Bundle string    `json:"bundle" doc:"ID of the bundle that the change is in"`
	Time   time.Time `json:"time" doc:"Time of the bundle"`
}

// CatalogDocument is a document as it is on the node.
type CatalogDocument struct {
	Path   string         `json:"path" doc:"Its exact path: collection/key, with ~KEY/ before it in a public swarm"`
	Space  sig.PublicKey  `json:"space,omitzero" doc:"Peer ID of whose space it is in, absent in a private swarm"`
	Time   time.Time      `json:"time" doc:"When what is left of it was changed last"`
	Fields []CatalogField `json:"fields" doc:"Its fields, in order of their names"`
}

// CatalogField is what a document has under one name: a register, a set or a map, or a counter,
// and several of these where those who wrote it disagree on which.
type CatalogField struct {
	Name     string           `json:"name" doc:"Name of the field"`
	Values   []CatalogValue   `json:"values,omitempty" doc:"Of a register: the value, which is the first, and those that were written without knowledge of it"`
	Elements []CatalogElement `json:"elements,omitempty" doc:"Of a set or a map: its elements, in order"`
	Sum      *int64           `json:"sum,omitempty" doc:"Of a counter: what it has come to"`
}

// CatalogElement is an element of a set, or an entry of a map.
type CatalogElement struct {
	Name   string         `json:"name" doc:"The element, or the entry's key"`
	Values []CatalogValue `json:"values,omitempty" doc:"Of an entry: its values, as those of a register"`
}

// CatalogPage is a page of what was asked for.
type CatalogPage struct {
	Documents []CatalogDocument `json:"documents" doc:"Those of this page, in the order that was asked for"`
	Next      string            `json:"next,omitempty" doc:"Cursor of the next page, absent where there is none"`
	Matched   int               `json:"matched" doc:"How many documents match in all"`
	Looked    int               `json:"looked" doc:"How many documents were looked at"`
}

// CatalogStatus is how the catalog is on the node.
type CatalogStatus struct {
	Swarm     string        `json:"swarm" doc:"ID of the swarm, hexadecimal"`
	Name      string        `json:"name" doc:"Name of the swarm"`
	Public    bool          `json:"public" doc:"Whether everybody has a space of their own, and no other"`
	Root      string        `json:"root" doc:"Digest of all bundles that are held, hexadecimal: two peers with the same one hold the same"`
	Spaces    int           `json:"spaces" doc:"Spaces that are held"`
	Documents int           `json:"documents" doc:"Documents in them"`
	Origins   int           `json:"origins" doc:"Lives of writers that bundles are of"`
	Bundles   int64         `json:"bundles" doc:"Bundles that are held"`
	Bytes     int64         `json:"bytes" doc:"Bytes of them"`
	Waiting   int           `json:"waiting" doc:"Bundles that wait for those before them"`
	Faults    int           `json:"faults" doc:"Writers that are proved to have broken a rule"`
	Dropped   int64         `json:"dropped" doc:"Bundles that were refused since the start"`
	Peers     []CatalogPeer `json:"peers" doc:"Peers that are connected and have a catalog"`
}

// CatalogPeer is how a peer and the node stand.
type CatalogPeer struct {
	ID     string     `json:"id" doc:"Peer ID"`
	InStep bool       `json:"in_step" doc:"Whether nothing was lacking when the node asked it last"`
	Asked  *time.Time `json:"asked,omitempty" doc:"When that was; absent for never"`
	Failed string     `json:"failed,omitempty" doc:"Why asking it last failed"`
}
