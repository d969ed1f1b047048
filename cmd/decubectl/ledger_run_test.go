package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/ledger/tx"
)

var errNobodyReads = errors.New("nobody reads")

// brokenPipe is an output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errNobodyReads }

// TestWatchEnds holds what ends a watch, and which of them are errors.
func TestWatchEnds(t *testing.T) {
	e, said, l := newLedgerEnv(t, nil)
	for _, name := range []string{"one", "two", "three"} {
		if _, _, err := l.Do(t.Context(), tx.NameClaim{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	enough := &ledgerWatchOptions{from: 1, blocks: 2, transactions: true}
	if err := enough.run(t.Context(), e); err != nil {
		t.Errorf("after enough blocks: %v", err)
	}
	if text := said.out.String(); strings.Count(text, "block ") != 2 || !strings.Contains(text, "two") || strings.Contains(text, "three") {
		t.Errorf("watched\n%s", text)
	}
	e.json = true // of text nothing is known, see exitcode.Output
	e.stdout = brokenPipe{}
	if err := (&ledgerWatchOptions{from: 1}).run(t.Context(), e); !errors.Is(err, errNobodyReads) {
		t.Errorf("with nobody who reads: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	e.stdout = writeFunc(func(p []byte) (int, error) {
		stop()
		return len(p), nil
	})
	if err := (&ledgerWatchOptions{from: 1}).run(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// TestRecordValue holds where the value of a record comes from.
func TestRecordValue(t *testing.T) {
	e, said, l := newLedgerEnv(t, nil)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	e.stdin = strings.NewReader("of the input")
	for _, tc := range []struct {
		arg, value string
		exit       int
	}{
		{"of the argument", "of the argument", exitcode.OK},
		{"-", "of the input", exitcode.OK},
		{"@" + write("small", "of a file"), "of a file", exitcode.OK},
		{"@" + write("large", strings.Repeat("v", tx.MaxValue+1)), "", exitcode.UsageError},
		{"@" + filepath.Join(dir, "absent"), "", exitcode.Failed},
	} {
		o := new(submitRecordOptions)
		if err := o.parse([]string{"key", tc.arg}); err != nil {
			t.Fatal(err)
		}
		said.out.Reset()
		err := o.run(t.Context(), e)
		if exitcode.Of(err) != tc.exit {
			t.Errorf("%.40s: exit code %d, %v; want %d", tc.arg, exitcode.Of(err), err, tc.exit)
		}
		if tc.exit != exitcode.OK {
			if said.out.Len() > 0 {
				t.Errorf("%.40s: was submitted:\n%s", tc.arg, said.out.String())
			}
			continue
		}
		st, err := l.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Block(t.Context(), st.Committed)
		if err != nil {
			t.Fatal(err)
		}
		if op, ok := b.Transactions[len(b.Transactions)-1].Op.(tx.RecordPut); !ok || string(op.Value) != tc.value {
			t.Errorf("%.40s: committed %+v, want %q", tc.arg, op, tc.value)
		}
	}
}

// TestNumberKnowsThatItWasGiven: no records at all are not as many as there are.
func TestNumberKnowsThatItWasGiven(t *testing.T) {
	for args, want := range map[string]number{
		"name.accept photos":               {0, false},
		"name.accept photos --records 0":   {0, true},
		"name.accept photos --records=0x7": {7, true},
	} {
		cmd := newSubmitAcceptCommand(&env{})
		if err := cmd.ParseFlags(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if got, ok := cmd.Flags().Lookup("records").Value.(*number); !ok || *got != want {
			t.Errorf("%s: %+v, want %+v", args, got, want)
		}
	}
	if err := newSubmitAcceptCommand(&env{}).ParseFlags([]string{"--records", "few"}); err == nil || !strings.Contains(err.Error(), `"few"`) {
		t.Errorf("not a number: %v", err)
	}
}
