package tx_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/tx"
)

func TestJSONRoundTrips(t *testing.T) {
	for i, op := range append(ops(t), tx.RecordPut{Key: "nothing"}) {
		b, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(b), `{"type":"`+op.Type().String()+`",`) {
			t.Errorf("%.80s does not begin with its type", b)
		}
		in := sign(t, key(i), 7, op)
		back, err := tx.ParseOp(b)
		if err != nil || sign(t, key(i), 7, back).ID() != in.ID() {
			t.Errorf("%.200s becomes %v, %v", b, back, err)
		}
		b, err = json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out tx.Transaction
		if err := json.Unmarshal(b, &out); err != nil || out.ID() != in.ID() || !reflect.DeepEqual(out.Raw(), in.Raw()) {
			t.Errorf("%.200s becomes %v, %v", b, out.ID(), err)
		}
	}
}

func TestJSONForm(t *testing.T) {
	k := key(1)
	in := sign(t, k, 7, tx.ParamsSet{Name: "x", Value: 3})
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"id":"%s","network":"%x","owner":"%s","nonce":7,"op":{"type":"params.set","name":"x","value":3},"signature":"%s"}`,
		in.ID(), network, k.Public(), in.Signature)
	if string(b) != want {
		t.Errorf("%s\nwant %s", b, want)
	}
}

func TestParseOpRefuses(t *testing.T) {
	peer := key(1).Public().String()
	renewal := `{"type":"validator.add","key":"` + peer + `","address":"","replaces":"` + peer + `","salt":"`
	for name, s := range map[string]string{
		"nothing":             ``,
		"no object":           `["name.claim"]`,
		"no type":             `{"name":"a"}`,
		"an unknown type":     `{"type":"name.take","name":"a"}`,
		"a type of capitals":  `{"type":"Name.Claim","name":"a"}`,
		"a numeric type":      `{"type":3,"name":"a"}`,
		"an empty object":     `{}`,
		"an unknown field":    `{"type":"name.claim","name":"a","owner":"b"}`,
		"another's field":     `{"type":"name.transfer","name":"a","target":"b","to":"` + peer + `"}`,
		"a field in capitals": `{"type":"name.claim","Name":"a"}`,
		"a folding letter":    `{"type":"params.ſet","name":"a"}`,
		"a field twice":       `{"type":"name.claim","name":"a","name":"b"}`,
		"a type twice":        `{"type":"name.claim","type":"name.claim","name":"a"}`,
		"a null":              `{"type":"name.claim","name":"a","target":null}`,
		"two objects":         `{"type":"name.claim","name":"a"}{}`,
		"cut short":           `{"type":"name.claim","name":"a"`,
		"a fraction":          `{"type":"params.set","name":"a","value":1.5}`,
		"a negative number":   `{"type":"params.set","name":"a","value":-1}`,
		"a number as text":    `{"type":"params.set","name":"a","value":"1"}`,
		"not UTF-8":           "{\"type\":\"name.claim\",\"name\":\"a\",\"target\":\"\xff\"}",
		"not base64":          `{"type":"record.put","key":"a","value":"%"}`,
		"not a CID":           `{"type":"snapshot.retire","root":"x"}`,
		"a CIDv0":             `{"type":"snapshot.retire","root":"QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"}`,
		"not a key":           `{"type":"validator.remove","key":"x"}`,
		"a short salt":        renewal + `00"}`,
		"a salt in capitals":  renewal + `AB000000000000000000000000000000"}`,
		"a salt of letters":   renewal + `xy000000000000000000000000000000"}`,
		"a salt of numbers":   `{"type":"validator.add","key":"` + peer + `","address":"","replaces":"` + peer + `","salt":[1]}`,
		"an invalid name":     `{"type":"name.claim","name":"A"}`,
	} {
		op, err := tx.ParseOp([]byte(s))
		if op != nil || code(t, err) == tx.CodeOK {
			t.Errorf("%s: %v, %v", name, op, err)
		}
	}
}

func TestTransactionJSONRefuses(t *testing.T) {
	b, err := json.Marshal(sign(t, key(1), 7, tx.NameClaim{Name: "a"}))
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, s := range map[string]string{
		"null":             `null`,
		"no object":        `7`,
		"an empty object":  `{}`,
		"another ID":       strings.Replace(good, `"nonce":7`, `"nonce":8`, 1),
		"an unknown field": strings.Replace(good, `"nonce"`, `"fee":1,"nonce"`, 1),
		"a field twice":    strings.Replace(good, `"nonce"`, `"nonce":7,"nonce"`, 1),
		"a null":           strings.Replace(good, `"nonce":7`, `"nonce":null`, 1),
		"in capitals":      strings.Replace(good, `"nonce"`, `"NONCE"`, 1),
		"an op's field":    strings.Replace(good, `"name":"a"`, `"name":"a","x":1`, 1),
		"an op twice over": strings.Replace(good, `"name":"a"`, `"name":"a","name":"a"`, 1),
		"a short network":  strings.Replace(good, `"network":"`, `"network":"00`, 1),
	} {
		var out tx.Transaction
		if err := out.UnmarshalJSON([]byte(s)); code(t, err) == tx.CodeOK {
			t.Errorf("%s: taken", name)
		}
	}
	without := good[:1] + good[strings.Index(good, `"network"`):]
	var out tx.Transaction
	if err := json.Unmarshal([]byte(without), &out); err != nil || out.Nonce != 7 {
		t.Errorf("without its id: %v", err)
	}
}
