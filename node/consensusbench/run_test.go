package consensusbench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/config"
)

// base is a run that takes no time.
func base(t *testing.T) Config {
	t.Helper()
	return Config{Dir: t.TempDir(), Validators: 4, Clients: 4, Transactions: 40, Payload: 256, Fault: FaultNone}
}

// Every transaction is committed, whatever goes wrong, and the figures are there;
// what they are is not looked at.
func TestRun(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no fault":        func(*Config) {},
		"alone":           func(c *Config) { c.Validators = 1 },
		"round trips":     func(c *Config) { c.RTT = 20 * time.Millisecond },
		"one down":        func(c *Config) { c.Fault = FaultCrash },
		"the leader gone": func(c *Config) { c.Fault = FaultKillLeader },
		"a slow leader":   func(c *Config) { c.Fault = FaultSlow },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cfg := base(t)
			change(&cfg)
			m, err := Run(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{bench.MetricLatencyP50, bench.MetricTransactionRate, "transactions_per_block", "syncs_per_block"}
			if cfg.Validators > 1 {
				want = append(want, "messages_per_block", "bytes_per_transaction")
			}
			if cfg.Fault == FaultKillLeader {
				want = append(want, bench.MetricNextCommit)
			}
			for _, metric := range want {
				if m.Values[metric] <= 0 {
					t.Errorf("%s is %v", metric, m.Values[metric])
				}
			}
			if p50 := m.Values[bench.MetricLatencyP50]; p50 < cfg.RTT.Seconds() {
				t.Errorf("P50 is %v s: a block takes more than one round trip", p50)
			}
			if m.Sample.Seconds <= 0 || m.Sample.PeakBytes <= 0 {
				t.Errorf("sample is %+v", m.Sample)
			}
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"validators":   func(c *Config) { c.Validators = 0 },
		"transactions": func(c *Config) { c.Transactions = 0 },
		"concurrency":  func(c *Config) { c.Clients = c.Transactions + 1 },
		"payload-size": func(c *Config) { c.Payload = 1 << 20 },
		"rtt":          func(c *Config) { c.RTT = -1 },
		"fault":        func(c *Config) { c.Fault = "flood" },
		"fault of few": func(c *Config) { c.Validators, c.Fault = 3, FaultCrash },
	} {
		cfg := base(t)
		change(&cfg)
		if _, err := Run(t.Context(), cfg); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := base(t)
	if _, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
