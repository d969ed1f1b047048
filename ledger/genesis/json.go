package genesis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/quorum"
)

// Format is the version of the document that this package reads and writes.
const Format = 1

// MaxSize is the most bytes of a document. The largest that Marshal writes is
// smaller.
const MaxSize = 2 << 20

// Parse reads a document and returns ErrInvalid, with the field, for anything
// that is not exactly one valid document.
func Parse(data []byte) (*Genesis, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxSize)
	}
	r := reader{}
	g := r.document(data)
	if r.err != nil {
		return nil, r.err
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

func (r *reader) document(data []byte) *Genesis {
	if !r.whole(data) {
		return nil
	}
	doc := r.object("", data)
	if format := doc.number("format"); r.err == nil && format != Format {
		r.fail("format", "%d, this release reads %d", format, Format)
	}
	g := &Genesis{Network: doc.text("network"), Created: doc.time("created")}
	for _, o := range doc.objects("validators", quorum.MaxReplicas) {
		g.Validators = append(g.Validators, r.validator(o))
	}
	consensus := r.object("consensus", doc.take("consensus"))
	for i := range params {
		*params[i].of(&g.Params) = consensus.number(params[i].name)
	}
	consensus.finish()
	g.Admission = r.admission(r.object("admission", doc.take("admission")))
	doc.finish()
	return g
}

func (r *reader) admission(o *object) admission.Rules {
	mode, err := admission.ParseMode(o.text("mode"))
	if err != nil {
		r.fail(o.field("mode"), "%w", err)
	}
	rules := admission.Rules{Mode: mode}
	if mode == admission.ModeList {
		for i, text := range o.texts("keys", admission.MaxKeys) {
			key, err := sig.ParsePublicKey(text)
			if err != nil {
				r.fail(fmt.Sprintf("%s[%d]", o.field("keys"), i), "%w", err)
			}
			rules.Keys = append(rules.Keys, key)
		}
	}
	o.finish()
	return rules
}

func (r *reader) validator(o *object) Validator {
	text := o.text("key")
	key, err := sig.ParsePublicKey(text)
	if err != nil {
		r.fail(o.field("key"), "%w", err)
	}
	v := Validator{Key: key}
	if o.has("name") {
		if v.Name = o.text("name"); v.Name == "" {
			r.fail(o.field("name"), "empty: leave it out instead")
		}
	}
	if o.has("addresses") {
		if v.Addresses = o.texts("addresses", MaxAddresses); len(v.Addresses) == 0 {
			r.fail(o.field("addresses"), "empty: leave it out instead")
		}
	}
	o.finish()
	return v
}

// timeLayout is RFC 3339 in UTC, in milliseconds.
const timeLayout = "2006-01-02T15:04:05.999Z"

// time takes a time in RFC 3339, UTC, of at most millisecond precision.
func (o *object) time(name string) time.Time {
	text := o.text(name)
	t, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err != nil:
		o.r.fail(o.field(name), "%w", err)
	case !strings.HasSuffix(text, "Z"):
		o.r.fail(o.field(name), "%q is not in UTC: must end in Z", text)
	case !t.Equal(t.Truncate(time.Millisecond)):
		o.r.fail(o.field(name), "%q is more precise than a millisecond", text)
	}
	return t.UTC()
}

// document is what Marshal writes, in order.
type document struct {
	Format     int               `json:"format"`
	Network    string            `json:"network"`
	Created    string            `json:"created"`
	Validators []validatorObject `json:"validators"`
	Consensus  json.RawMessage   `json:"consensus"`
	Admission  admissionObject   `json:"admission"`
}

type admissionObject struct {
	Mode string          `json:"mode"`
	Keys []sig.PublicKey `json:"keys,omitempty"`
}

type validatorObject struct {
	Key       sig.PublicKey `json:"key"`
	Name      string        `json:"name,omitempty"`
	Addresses []string      `json:"addresses,omitempty"`
}

// Marshal returns the document as people read it, always the same bytes for the
// same document, or ErrInvalid.
func (g *Genesis) Marshal() ([]byte, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	doc := document{Format: Format, Network: g.Network, Created: g.Created.Format(timeLayout)}
	for i := range g.Validators {
		doc.Validators = append(doc.Validators, validatorObject(g.Validators[i]))
	}
	consensus := []byte{'{'}
	for i := range params {
		consensus = fmt.Appendf(consensus, "%q:%d,", params[i].name, *params[i].of(&g.Params))
	}
	consensus[len(consensus)-1] = '}'
	doc.Consensus = consensus
	doc.Admission = admissionObject{g.Admission.Mode.String(), g.Admission.Keys}

	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("writing a genesis: %w", err)
	}
	return b.Bytes(), nil
}

// Load reads a document from a file.
func Load(name string) (_ *Genesis, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	g, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return g, nil
}

// Save writes the document to a file that everybody may read, in place of one
// that is there already. When it returns, the file is durable.
func (g *Genesis) Save(name string) error {
	data, err := g.Marshal()
	if err != nil {
		return err
	}
	return durable.WriteFile(name, data, 0o644)
}
