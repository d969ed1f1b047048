package catalogapi

import (
	"encoding/hex"
	"fmt"

	"github.com/decube/decube/api"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
)

// This file turns what the catalog says into what the API does, and back.

// kinds are the operations of a request. What each has is said as messages say it.
var kinds = map[string]struct {
	kind bundle.Kind
	has  string
}{
	api.CatalogSet:    {bundle.Set, "a field and a value"},
	api.CatalogAdd:    {bundle.Add, "a field and an element, and a value for an entry of a map"},
	api.CatalogRemove: {bundle.Remove, "a field and an element"},
	api.CatalogCount:  {bundle.Count, "a field and an amount of at most 2^53 of either sign, which is not 0"},
	api.CatalogClear:  {bundle.Clear, "a field"},
}

// operationsOf returns operations on the document at a path.
func operationsOf(path string, all []api.CatalogOperation) ([]bundle.Operation, error) {
	out := make([]bundle.Operation, len(all))
	for i := range all {
		o := &all[i]
		k, ok := kinds[o.Op]
		if !ok {
			return nil, fmt.Errorf("%w: operation %d: there is no %q, want set, add, remove, count or clear", api.ErrInvalid, i, o.Op)
		}
		op := bundle.Operation{Kind: k.kind, Document: path, Field: o.Field, Element: o.Element}
		if o.Value != nil {
			var err error
			if op.Value, err = o.Value.Decode(); err != nil {
				return nil, fmt.Errorf("operation %d: %w", i, err)
			}
		}
		counts := k.kind == bundle.Count
		wrong := counts != (o.Amount != 0) || counts && o.Value != nil
		if counts {
			op.Value = bundle.WholeValue(o.Amount)
		}
		if out[i] = op; wrong || !op.Known() {
			return nil, fmt.Errorf("%w: operation %d on %.100q: %s has %s, and nothing else; names are %d bytes at most, elements %d, values %d, all UTF-8 without zeros, and a document is named COLLECTION/KEY",
				api.ErrInvalid, i, path, o.Op, k.has, bundle.MaxField, bundle.MaxElement, bundle.MaxValue)
		}
	}
	return out, nil
}

func documentsOf(all []crdtsync.Document) []api.CatalogDocument {
	out := make([]api.CatalogDocument, len(all))
	for i := range all {
		d := &all[i]
		out[i] = api.CatalogDocument{Path: d.Path, Space: d.Space, Time: d.Time.UTC(), Fields: make([]api.CatalogField, len(d.Fields))}
		for j := range d.Fields {
			f := &d.Fields[j]
			field := api.CatalogField{Name: f.Name, Values: valuesOf(f.Values), Sum: f.Sum}
			for _, e := range f.Elements {
				field.Elements = append(field.Elements, api.CatalogElement{Name: e.Name, Values: valuesOf(e.Values)})
			}
			out[i].Fields[j] = field
		}
	}
	return out
}

func valuesOf(all []bundle.Value) []api.CatalogValue {
	var out []api.CatalogValue
	for _, v := range all {
		if v.Type() != bundle.None {
			out = append(out, api.NewCatalogValue(v))
		}
	}
	return out
}

func statusOf(st *crdtsync.Status) api.CatalogStatus {
	out := api.CatalogStatus{
		Swarm: st.Swarm.String(), Name: st.Name, Public: st.Public, Root: hex.EncodeToString(st.Root[:]),
		Spaces: st.Spaces, Documents: st.Documents, Origins: st.Origins, Bundles: st.Bundles, Bytes: st.Bytes,
		Waiting: st.Waiting, Faults: st.Faults, Dropped: st.Dropped, Peers: make([]api.CatalogPeer, len(st.Peers)),
	}
	for i, p := range st.Peers {
		out.Peers[i] = api.CatalogPeer{ID: p.Name, InStep: p.InStep, Failed: p.Failed}
		if !p.Asked.IsZero() {
			asked := p.Asked.UTC()
			out.Peers[i].Asked = &asked
		}
	}
	return out
}
