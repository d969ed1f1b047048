package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(`{"Action":"start","Package":"example.org/a"}
{"Action":"output","Package":"example.org/a","Output":"FuzzDecode\n"}
{"Action":"output","Package":"example.org/a","Output":"FuzzEncode\n"}
{"Action":"output","Package":"example.org/a","Output":"ok  \texample.org/a\t0.002s\n"}
{"Action":"pass","Package":"example.org/a","Elapsed":0.002}
{"Action":"output","Package":"example.org/b","Output":"?   \texample.org/b\t[no test files]\n"}
`))
	want := []target{{"example.org/a", "FuzzDecode"}, {"example.org/a", "FuzzEncode"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestParseRefusesOtherText(t *testing.T) {
	if got, err := parse(strings.NewReader("FuzzDecode\n")); err == nil {
		t.Errorf("%v out of plain text", got)
	}
}

func TestRunWithoutTargets(t *testing.T) {
	if err := run(t.Context(), 0, []string{"."}); err != nil {
		t.Error(err)
	}
}
