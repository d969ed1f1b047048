package main

import (
	"bytes"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/testnet/hostile"
)

func TestFlags(t *testing.T) {
	var out bytes.Buffer
	s, err := parse(strings.Fields("-bin b -attack garbage,log-flood -json -duration 3s -settle 1s -identities 64 -addresses 8 -v6 -quic -size 2MiB -memory 1GiB"), &out)
	if err != nil || s.Bin != "b" || !s.json || s.list || s.Duration != 3*time.Second || s.Bars.Settle != time.Second || s.Identities != 64 ||
		s.Addresses != 8 || s.Bars.Lost != 0.5 || !s.V6 || !s.QUIC || s.Size != 2<<20 || s.Memory != 1<<30 || !slices.Equal(s.Attacks, []string{"garbage", "log-flood"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parse(strings.Fields("-kubo /opt/ipfs"), &out); err != nil || s.Kubo != "/opt/ipfs" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, args := range []string{"-many -settle 1s", "-identities 65 -settle 1s"} {
		want := hostile.ManyBars()
		want.Settle = time.Second
		if s, err := parse(strings.Fields(args), &out); err != nil || s.Bars != want {
			t.Errorf("%q: %+v, %v", args, s.Bars, err)
		}
	}
	for _, args := range []string{
		"-attack kindness", "-size 1", "-memory lots", "-identities -1", "-addresses 9999", "-duration 0s", "-settle -1s", "more", "-nonsense",
	} {
		if s, err := parse(strings.Fields(args), &out); err == nil {
			t.Errorf("%q: %+v", args, s)
		}
	}
	if _, err := parse([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-attack names") {
		t.Errorf("%v: %s", err, &out)
	}
}

func TestList(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-list"}, nil, &out, &errs); code != 0 || strings.Count(out.String(), "\n") < 20 || !strings.Contains(out.String(), "half-frames") {
		t.Errorf("%d: %s%s", code, &out, &errs)
	}
}

func TestExitCodes(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"-bin", t.TempDir()}, {"enter", "-ns", "x"}, {"attack"}} {
		var out, errs bytes.Buffer
		if code := run(args, strings.NewReader("no order"), &out, &errs); code != failed || !strings.Contains(errs.String(), "hostile: ") {
			t.Errorf("%q: exit code %d, %s", args, code, &errs)
		}
	}
}
