package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/ledgertest"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
)

// heard is what a command under test has said.
type heard struct{ out, errs bytes.Buffer }

// newEnv returns an environment on a new repository that has no daemon.
func newEnv(t *testing.T) (*env, *heard) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	if err := repo.Init(dir, repo.Seed{Identity: ledgertest.Key('n').Encode()}); err != nil {
		t.Fatal(err)
	}
	return envOf(dir)
}

// newLedgerEnv returns an environment on a new repository, whose daemon has a ledger. The
// daemon tells asked, which may be nil, of fetches.
func newLedgerEnv(t *testing.T, asked func(api.FetchRequest)) (*env, *heard, *ledgertest.Ledger) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	l := ledgertest.New(t, "test")
	_, stop, err := serveNode(dir, l.Key, l, asked)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	e, said := envOf(dir)
	return e, said, l
}

func envOf(dir string) (*env, *heard) {
	said := new(heard)
	return &env{globals: globals{repo: dir}, stdin: strings.NewReader(""), stdout: &said.out, stderr: &said.errs}, said
}

// TestRuns holds the order in which a command happens: a mistake keeps it from running,
// and it runs until --timeout.
func TestRuns(t *testing.T) {
	mistake := usageError("no")
	root := testRoot()
	root.SetContext(t.Context())
	ran := false
	e := &env{globals: globals{timeout: time.Hour}}
	run := func(ctx context.Context, got *env) error {
		ran = true
		if _, ok := ctx.Deadline(); !ok || got != e {
			t.Errorf("runs without an end, or in %p", got)
		}
		return io.ErrUnexpectedEOF
	}
	parse := func(args []string) error {
		if args[0] != "word" {
			t.Errorf("parses %q", args)
		}
		return mistake
	}
	if err := runs(e, parse, run)(root, []string{"word"}); !errors.Is(err, mistake) || ran {
		t.Errorf("after a mistake: %v, ran %v", err, ran)
	}
	if err := runs(e, nil, run)(root, nil); !errors.Is(err, io.ErrUnexpectedEOF) || !ran {
		t.Errorf("without one: %v, ran %v", err, ran)
	}
}

func TestTimeoutBelowZero(t *testing.T) {
	var errs strings.Builder
	if code := run([]string{"version", "--timeout", "-1s"}, strings.NewReader(""), io.Discard, &errs); code != exitcode.UsageError {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestPatience(t *testing.T) {
	if got := patience(t.Context()); got != 0 {
		t.Errorf("without an end: %v", got)
	}
	later, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if got := patience(later); got < 50*time.Minute || got > 54*time.Minute {
		t.Errorf("of an hour: %v", got)
	}
	past, cancelPast := context.WithTimeout(t.Context(), -time.Hour)
	defer cancelPast()
	if got := patience(past); got != 1 { // 0 would be without an end
		t.Errorf("of nothing: %v", got)
	}
}

// TestWithoutADaemon holds what commands do that need one, and those that do not, where
// the repository has none, and where another one was named.
func TestWithoutADaemon(t *testing.T) {
	for _, tc := range []struct {
		url  string
		run  func(ctx context.Context, e *env) error
		exit int
		want string
	}{
		{"", asks((*client.Client).Identity, showIdentity), exitcode.Unreachable, "start it with"},
		{"", asksEach((*client.Client).Peers, showPeers), exitcode.Unreachable, "start it with"},
		{"", runRepoStat, exitcode.OK, ""},
		{"http://127.0.0.1:1", asks((*client.Client).Identity, showIdentity), exitcode.Unreachable, "http://127.0.0.1:1"},
		{"http://127.0.0.1:1", runRepoStat, exitcode.Unreachable, "http://127.0.0.1:1"},
	} {
		e, said := newEnv(t)
		e.url = tc.url
		err := explain(t.Context(), tc.run(t.Context(), e))
		if exitcode.Of(err) != tc.exit || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("with %q: exit code %d, %v; want %d, %q", tc.url, exitcode.Of(err), err, tc.exit, tc.want)
		}
		if tc.url != "" && err != nil && strings.Contains(err.Error(), "start it with") {
			t.Errorf("advice on another daemon than the one that was named: %v", err)
		}
		if opened := strings.Contains(said.errs.String(), "No daemon is running"); opened != (err == nil) {
			t.Errorf("with %q: says that it works without: %v", tc.url, opened)
		}
	}
}

// TestFetchIsPatient holds how long a daemon is asked to try: so long that it can still say
// what it tried before --timeout.
func TestFetchIsPatient(t *testing.T) {
	var req api.FetchRequest
	e, _, _ := newLedgerEnv(t, func(r api.FetchRequest) { req = r })
	for _, tc := range []struct {
		timeout, stall time.Duration
		least, most    float64
	}{
		{0, time.Minute, 60, 60},
		{time.Hour, time.Minute, 60, 60},
		{20 * time.Second, time.Minute, 1, 18},
	} {
		o := &snapshotFetchOptions{fetchOptions: fetchOptions{stall: tc.stall}}
		o.Providers = []string{"/ip4/192.0.2.1/tcp/1/p2p/" + someKey}
		if err := o.parse([]string{someRoot}); err != nil {
			t.Fatal(err)
		}
		e.timeout = tc.timeout
		ctx, cancel := e.limit(t.Context())
		err := explain(ctx, o.run(ctx, e))
		cancel()
		if exitcode.Of(err) != exitcode.TimedOut || !strings.Contains(err.Error(), "--provider names a peer to ask") {
			t.Errorf("exit code %d, %v", exitcode.Of(err), err)
		}
		if req.StallSeconds < tc.least || req.StallSeconds > tc.most || !req.Pin || len(req.Providers) != 1 {
			t.Errorf("with --timeout %v --stall %v: asks for %+v", tc.timeout, tc.stall, req)
		}
	}
}

const (
	someRoot = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
	someRaw  = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	someKey  = "12D3KooWAs5X3xDVVd4ddamHVFja3u1PqpW4MWTonbqT4rKa7Poq"
)

// TestMistakesAreFoundByParse holds that what is wrong with arguments and flags is found
// before anything is opened, and is wrong usage.
func TestMistakesAreFoundByParse(t *testing.T) {
	createOf := func(change func(o *snapshotCreateOptions)) func(args []string) error {
		o := &snapshotCreateOptions{registerOptions: registerOptions{mode: registerAuto}}
		change(o)
		return o.parse
	}
	for name, tc := range map[string]struct {
		parse func(args []string) error
		args  []string
		want  string
	}{
		"create, label":        {createOf(func(o *snapshotCreateOptions) { o.Label = strings.Repeat("l", 300) }), []string{"."}, "label"},
		"create, exclude file": {createOf(func(o *snapshotCreateOptions) { o.excludeFiles = []string{"absent"} }), []string{"."}, "--exclude-file: "},
		"create, time":         {createOf(func(o *snapshotCreateOptions) { o.time = "noon" }), []string{"."}, `--time: "noon"`},
		"create, parent":       {createOf(func(o *snapshotCreateOptions) { o.parent = someRaw }), []string{"."}, "raw block"},
		"create, register":     {createOf(func(o *snapshotCreateOptions) { o.mode = "maybe" }), []string{"."}, `--register: "maybe"`},
		"create, retain":       {createOf(func(o *snapshotCreateOptions) { o.retain = "soon" }), []string{"."}, `--retain: "soon"`},
		"create, retain, no":   {createOf(func(o *snapshotCreateOptions) { o.mode, o.retain = registerNo, "1d" }), []string{"."}, "asks for no registration"},
		"restore, both": {
			(&snapshotRestoreOptions{overwrite: true, skip: true}).parse,
			[]string{someRoot, "target"},
			"--overwrite and --skip-existing exclude each other",
		},
		"restore, stall":          {(&snapshotRestoreOptions{fetchOptions: fetchOptions{stall: -1}}).parse, []string{someRoot, "target"}, "--stall -1ns"},
		"fetch, stall":            {(&snapshotFetchOptions{fetchOptions: fetchOptions{stall: -1}}).parse, []string{someRoot}, "--stall -1ns"},
		"cat, offset":             {(&snapshotCatOptions{offset: -1, length: -1}).parse, []string{someRoot}, "--offset -1"},
		"cat, length":             {(&snapshotCatOptions{length: -2}).parse, []string{someRoot}, "--length -2"},
		"benchmark, providers":    {(&benchmarkFetchOptions{transport: "TCP", rate: "1MB"}).parse, nil, "--providers 0"},
		"forget, the second":      {new(snapshotForgetOptions).parse, []string{someRoot, someRaw}, "raw block"},
		"diff, the second":        {new(snapshotDiffOptions).parse, []string{someRoot, "x"}, `not a CID: "x"`},
		"findprovs":               {new(findProvidersOptions).parse, []string{"x"}, `not a CID: "x"`},
		"block 0":                 {new(ledgerBlockOptions).parse, []string{"0"}, "they count from 1"},
		"tx":                      {new(ledgerTxOptions).parse, []string{"x"}, "printed it"},
		"name":                    {new(ledgerNameOptions).parse, []string{"/"}, "name"},
		"genesis, none":           {new(genesisCreateOptions).parse, nil, "at least one --validator"},
		"genesis, created":        {(&genesisCreateOptions{created: "noon"}).parse, nil, `--created: "noon"`},
		"genesis verify":          {(&genesisVerifyOptions{id: "x"}).parse, []string{"absent"}, `--id: "x"`},
		"register, size":          {(&submitRegisterOptions{length: "much"}).parse, []string{someRoot}, `--size: "much"`},
		"register, label":         {(&submitRegisterOptions{label: strings.Repeat("l", 300)}).parse, []string{someRoot}, "label"},
		"record, key":             {new(submitRecordOptions).parse, []string{"", "-"}, "key"},
		"transfer, to whom":       {new(submitTransferOptions).parse, []string{"photos", "x"}, "prints a node's"},
		"validator, replaces":     {(&submitAddValidatorOptions{replaces: "x"}).parse, []string{someKey}, "prints a node's"},
		"param":                   {new(submitParamOptions).parse, []string{"window", "many"}, "want a whole number"},
		"receipt get, owner":      {(&receiptGetOptions{owner: "x"}).parse, []string{someRoot}, "prints a node's"},
		"receipt verify, trust":   {(&receiptVerifyOptions{genesis: "absent", trusted: "x"}).parse, []string{"absent"}, "digest of a validator set"},
		"receipt verify, genesis": {new(receiptVerifyOptions).parse, []string{"absent"}, "--genesis FILE"},
		"benchmark, source":       {(&benchmarkRestoreOptions{sourceOptions: sourceOptions{data: "Q"}}).parse, nil, "--data"},
	} {
		err := tc.parse(tc.args)
		if err == nil || exitcode.Of(err) != exitcode.UsageError || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: exit code %d, %v; want %q", name, exitcode.Of(err), err, tc.want)
		}
	}
}
