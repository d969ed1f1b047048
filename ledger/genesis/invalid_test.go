package genesis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// Values out of bounds are refused, and the message says where.
func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*genesis.Genesis)
		field  string
	}{
		"no network":          {func(g *genesis.Genesis) { g.Network = "" }, "network"},
		"long network":        {func(g *genesis.Genesis) { g.Network = strings.Repeat("n", 65) }, "network"},
		"upper-case network":  {func(g *genesis.Genesis) { g.Network = "Main" }, "network"},
		"network is a path":   {func(g *genesis.Genesis) { g.Network = "../x" }, "network"},
		"network is hidden":   {func(g *genesis.Genesis) { g.Network = ".x" }, "network"},
		"before 1970":         {func(g *genesis.Genesis) { g.Created = time.UnixMilli(-1).UTC() }, "created"},
		"after 9999":          {func(g *genesis.Genesis) { g.Created = time.UnixMilli(253402300800000).UTC() }, "created"},
		"microseconds":        {func(g *genesis.Genesis) { g.Created = g.Created.Add(time.Microsecond) }, "created"},
		"local time":          {func(g *genesis.Genesis) { g.Created = g.Created.In(time.FixedZone("x", 60)) }, "created"},
		"no time":             {func(g *genesis.Genesis) { g.Created = time.Time{} }, "created"},
		"no validators":       {func(g *genesis.Genesis) { g.Validators = nil }, "validators"},
		"257 validators":      {func(g *genesis.Genesis) { g.Validators = make([]genesis.Validator, 257) }, "validators"},
		"the same key":        {func(g *genesis.Genesis) { g.Validators[3].Key = key(1) }, "validators[3].key"},
		"no key":              {func(g *genesis.Genesis) { g.Validators[2].Key = sig.PublicKey{} }, "validators[2].key"},
		"a key of low order":  {func(g *genesis.Genesis) { g.Validators[2].Key = sig.PublicKey{1} }, "validators[2].key"},
		"the same name":       {func(g *genesis.Genesis) { g.Validators[3].Name = "alpha" }, "validators[3].name"},
		"a long name":         {func(g *genesis.Genesis) { g.Validators[3].Name = strings.Repeat("n", 65) }, "validators[3].name"},
		"a name of two lines": {func(g *genesis.Genesis) { g.Validators[3].Name = "a\nb" }, "validators[3].name"},
		"a broken name":       {func(g *genesis.Genesis) { g.Validators[3].Name = "\xff" }, "validators[3].name"},
		"a mirrored name":     {func(g *genesis.Genesis) { g.Validators[3].Name = "a\u202eb" }, "validators[3].name"},
		"a replaced letter":   {func(g *genesis.Genesis) { g.Validators[3].Name = "\ufffd" }, "validators[3].name"},
		"nine addresses":      {func(g *genesis.Genesis) { g.Validators[1].Addresses = make([]string, 9) }, "validators[1].addresses"},
		"an empty address":    {func(g *genesis.Genesis) { g.Validators[0].Addresses[1] = "" }, "validators[0].addresses[1]"},
		"a long address":      {func(g *genesis.Genesis) { g.Validators[0].Addresses[1] = strings.Repeat("/", 257) }, "validators[0].addresses[1]"},
		"a blank in it":       {func(g *genesis.Genesis) { g.Validators[0].Addresses[1] = "/ip4 /x" }, "validators[0].addresses[1]"},
		"a letter beyond":     {func(g *genesis.Genesis) { g.Validators[0].Addresses[1] = "/é" }, "validators[0].addresses[1]"},
		"no window":           {func(g *genesis.Genesis) { g.Params.Window = 0 }, "consensus.window"},
		"a wide window":       {func(g *genesis.Genesis) { g.Params.Window = 65 }, "consensus.window"},
		"checkpoints":         {func(g *genesis.Genesis) { g.Params.CheckpointInterval = 7 }, "consensus.checkpoint_interval"},
		"small blocks":        {func(g *genesis.Genesis) { g.Params.MaxBlockBytes = 1000 }, "consensus.max_block_bytes"},
		"a list of nobody":    {func(g *genesis.Genesis) { g.Admission = list() }, "admission"},
		"a list, one twice":   {func(g *genesis.Genesis) { g.Admission = list(key(1), key(1)) }, "admission"},
		"little growth":       {func(g *genesis.Genesis) { g.Params.GrowthBytesPerDay = 4<<20 - 1 }, "consensus.growth_bytes_per_day"},
		"much growth":         {func(g *genesis.Genesis) { g.Params.GrowthBytesPerDay = 1<<38 + 1 }, "consensus.growth_bytes_per_day"},
		"no parameters":       {func(g *genesis.Genesis) { g.Params = genesis.Params{} }, "consensus.window"},
		"a large NEW-VIEW":    {func(g *genesis.Genesis) { crowd(g, 256); g.Params.Window = 64 }, "consensus.max_block_bytes"},
	} {
		g := example(t)
		c.change(g)
		err := g.Validate()
		if !errors.Is(err, genesis.ErrInvalid) || !strings.Contains(err.Error(), " "+c.field+": ") {
			t.Errorf("%s: %v, want one that names %s", name, err, c.field)
		}
		if _, err := g.Marshal(); !errors.Is(err, genesis.ErrInvalid) {
			t.Errorf("%s: written all the same: %v", name, err)
		}
		made, err := genesis.New(g.Network, g.Created, g.Validators, g.Params)
		if err == nil {
			_, err = made.WithAdmission(g.Admission)
		}
		if (err == nil) != (name == "microseconds" || name == "local time") {
			t.Errorf("%s: New: %v", name, err)
		}
	}
}

// crowd gives the document so many validators.
func crowd(g *genesis.Genesis, n int) {
	g.Validators = nil
	for i := range n {
		g.Validators = append(g.Validators, genesis.Validator{Key: sig.FromSeed([32]byte{byte(i), byte(i >> 8), 1}).Public()})
	}
}

// A committee and a window fit when the largest NEW-VIEW does, to the byte.
func TestFit(t *testing.T) {
	for _, n := range []int{1, 4, 31, 256} {
		for _, window := range []uint64{1, 8, 64} {
			p := genesis.DefaultParams()
			p.Window = window
			need := pbft.MaxNewView(n, int(window)) - genesis.FrameRoom
			p.MaxBlockBytes = uint64(max(need, 0))
			if err := p.Fit(n); err != nil {
				t.Errorf("%d validators, window %d, %d bytes: %v", n, window, p.MaxBlockBytes, err)
			}
			if need <= 0 {
				continue
			}
			p.MaxBlockBytes--
			if err := p.Fit(n); !errors.Is(err, genesis.ErrInvalid) {
				t.Errorf("%d validators, window %d, %d bytes: %v", n, window, p.MaxBlockBytes, err)
			}
		}
	}
	p := genesis.DefaultParams()
	if err := p.Fit(256); err != nil {
		t.Errorf("the largest committee does not fit the defaults: %v", err)
	}
}

// Text that is not exactly one document is refused, and the message says where.
func TestParseIsStrict(t *testing.T) {
	data, err := example(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, c := range map[string]struct{ old, with, field string }{
		"nothing":            {good, "", "document"},
		"a list":             {good, "[]", "document"},
		"half":               {good[len(good)/2:], "", "document"},
		"trailing data":      {"\n}\n", "\n}\n{}", "document"},
		"trailing letter":    {"\n}\n", "\n}\nx", "document"},
		"not UTF-8":          {"alpha\"", "alph\xff\"", "document"},
		"unknown field":      {`"format": 1`, `"format": 1, "colour": 2`, "colour"},
		"other case":         {`"network"`, `"Network"`, "network"},
		"duplicate":          {`"format": 1`, `"format": 1, "format": 1`, "format"},
		"escaped duplicate":  {`"format": 1`, `"format": 1, "f\u006frmat": 1`, "format"},
		"no format":          {`"format": 1,`, ``, "format"},
		"later format":       {`"format": 1`, `"format": 2`, "format"},
		"format as text":     {`"format": 1`, `"format": "1"`, "format"},
		"null":               {`"network": "example.net-1"`, `"network": null`, "network"},
		"time with a zone":   {`678Z`, `678+00:00`, "created"},
		"time in us":         {`678Z`, `678001Z`, "created"},
		"time in words":      {`2026-01-02T02:04:05.678Z`, `yesterday`, "created"},
		"other key":          {`"key": "12D3`, `"key": "12D4`, "validators[0].key"},
		"no key":             {`"name": "alpha",`, `"name": "alpha", "kye": "",`, "validators[0].kye"},
		"validators by name": {`"validators": [`, `"validators": {"a": [`, "document"},
		"an empty name":      {`"alpha"`, `""`, "validators[0].name"},
		"no addresses":       {`"name": "alpha",`, `"addresses": [], "x": "",`, "validators[0].addresses"},
		"address as number":  {`"/ip4/127.0.0.1/tcp/1"`, `4001`, "validators[2].addresses[0]"},
		"fraction":           {`"window": 8`, `"window": 8.0`, "consensus.window"},
		"exponent":           {`"window": 8`, `"window": 8e0`, "consensus.window"},
		"negative":           {`"window": 8`, `"window": -8`, "consensus.window"},
		"out of bounds":      {`"window": 8`, `"window": 800`, "consensus.window"},
		"missing parameter":  {`"window": 8,`, ``, "consensus.window"},
		"no admission":       {`"mode": "open"`, ``, "admission.mode"},
		"unknown admission":  {`"mode": "open"`, `"mode": "vote"`, "admission.mode"},
		"a list without":     {`"mode": "open"`, `"mode": "list"`, "admission.keys"},
		"an open list":       {`"mode": "open"`, `"mode": "open", "keys": []`, "admission.keys"},
		"an empty list":      {`"mode": "open"`, `"mode": "list", "keys": []`, "admission"},
		"a list of names":    {`"mode": "open"`, `"mode": "list", "keys": ["alpha"]`, "admission.keys[0]"},
		"unknown parameter":  {`"window": 8,`, `"window": 8, "windows": 8,`, "consensus.windows"},
		"no parameters":      {`"consensus": {`, `"consensus": 1, "x": {`, "consensus"},
	} {
		text := strings.Replace(good, c.old, c.with, 1)
		if text == good {
			t.Fatalf("%s: nothing to replace", name)
		}
		g, err := genesis.Parse([]byte(text))
		if g != nil || !errors.Is(err, genesis.ErrInvalid) || !strings.Contains(err.Error(), " "+c.field+": ") {
			t.Errorf("%s: %v, want one that names %s", name, err, c.field)
		}
	}
	if _, err := genesis.Parse([]byte(" " + strings.ReplaceAll(good, "\n", "\r\n\t"))); err != nil {
		t.Errorf("other spaces: %v", err)
	}
}
