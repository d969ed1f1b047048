package api_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/crdtsync/bundle"
)

// A value is the same one after it has travelled as JSON.
func TestCatalogValues(t *testing.T) {
	for want, text := range map[bundle.Value]string{
		bundle.TextValue(""):                              `{"type":"text","value":""}`,
		bundle.TextValue("a\"\n\u2028"):                   `{"type":"text","value":"a\"\n\u2028"}`,
		bundle.NumberValue(0.1):                           `{"type":"number","value":0.1}`,
		bundle.NumberValue(-math.MaxFloat64):              `{"type":"number","value":-1.7976931348623157e+308}`,
		bundle.NumberValue(math.SmallestNonzeroFloat64):   `{"type":"number","value":5e-324}`,
		bundle.WholeValue(math.MaxInt64):                  `{"type":"whole","value":9223372036854775807}`,
		bundle.BoolValue(false):                           `{"type":"bool","value":false}`,
		bundle.SizeValue(0):                               `{"type":"size","value":0}`,
		bundle.InstantValue(time.UnixMilli(-1)):           `{"type":"time","value":"1969-12-31T23:59:59.999Z"}`,
		bundle.InstantValue(time.UnixMilli(253402300799)): `{"type":"time","value":"1978-01-11T21:31:40.799Z"}`,
	} {
		raw, err := json.Marshal(api.NewCatalogValue(want))
		if err != nil || string(raw) != text {
			t.Errorf("%v %v: %s, %v, want %s", want.Type(), want, raw, err, text)
		}
		var v api.CatalogValue
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		if got, err := v.Decode(); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", raw, got, err, want)
		}
	}
	// Others may write a time that RFC 3339 has no place for. It is shown all the same.
	far := api.NewCatalogValue(bundle.InstantValue(time.UnixMilli(math.MaxInt64)))
	if raw, err := json.Marshal(far); err != nil {
		t.Errorf("%s: %v", raw, err)
	}
	for _, v := range []api.CatalogValue{
		far, {}, {Type: "text"}, {Type: "none", Value: json.RawMessage(`""`)}, {Type: "whole", Value: json.RawMessage(`1e3`)}, {Type: "time", Value: json.RawMessage(`null`)},
	} {
		if got, err := v.Decode(); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("%s %s was taken for %v", v.Type, v.Value, got)
		}
	}
}
