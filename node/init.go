package node

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node/host"
	ledgerpart "github.com/decube/decube/node/ledger"
)

// Setup holds the settings that are asked for when a repository is made, and
// are written to its config.yaml. A zero field leaves the default.
type Setup struct {
	Network   string // that of the genesis, if there is one, unless given
	Listen    []string
	Bootstrap []string
	API       string

	// Genesis makes the peer part of a ledger; nil for none.
	Genesis *genesis.Genesis
}

// Init makes dir a repository with a new identity, which counts as one that has
// never voted in the ledger of the genesis. It returns repo.ErrExists when dir is
// a repository already; settings that are wrong wrap config.ErrInvalid.
func Init(dir string, s Setup) error {
	key, err := host.NewIdentity()
	if err != nil {
		return err
	}
	return initRepo(dir, s, key)
}

// initRepo is Init for a key that is as good as new.
func initRepo(dir string, s Setup, key []byte) error {
	seed := repo.Seed{Identity: key}
	if g := s.Genesis; g != nil {
		if s.Network == "" {
			s.Network = g.Network
		}
		text, err := g.Marshal()
		if err != nil {
			return err
		}
		seed.Genesis = text
		seed.Prepare = func(d repo.Dir) error { return ledger.Init(d.Ledger(), g) }
	}
	if err := s.validate(); err != nil {
		return err
	}
	var err error
	if seed.Config, err = configFile(s); err != nil {
		return err
	}
	if err := repo.Init(dir, seed); err != nil || s.Genesis == nil {
		return err
	}
	_, err = ledgerpart.Same(repo.Dir(dir), s.Genesis) // it may be an interrupted Init that was finished
	return err
}

func (s Setup) validate() error {
	cfg := Default()
	if s.Network != "" {
		cfg.P2P.Network = s.Network
	}
	if s.API != "" {
		cfg.APIGateway.Address = s.API
	}
	if len(s.Listen) > 0 {
		cfg.P2P.Listen = s.Listen
	}
	cfg.P2P.Bootstrap = s.Bootstrap
	return config.Validate(&cfg)
}

//go:embed config.yaml.tmpl
var configTemplate string

// configFile returns the text of a config.yaml in which everything but the
// settings of s is a comment.
func configFile(s Setup) ([]byte, error) {
	t, err := template.New("config.yaml").
		Funcs(template.FuncMap{"line": yamlLine, "lines": yamlLines}).
		Parse(configTemplate)
	if err != nil {
		return nil, fmt.Errorf("writing config.yaml: %w", err)
	}
	var out bytes.Buffer
	data := struct {
		Setup
		DefaultListen []string
	}{s, host.Default().Listen}
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("writing config.yaml: %w", err)
	}
	return out.Bytes(), nil
}

// yamlLine returns a setting below a section, commented out when it is the default.
func yamlLine(key, standard, value string) (string, error) {
	if value == "" {
		return fmt.Sprintf("  #%s: %s", key, standard), nil
	}
	text, err := yaml.Marshal(value)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("  %s: %s", key, strings.TrimSpace(string(text))), nil
}

// yamlLines is yamlLine for a list.
func yamlLines(key string, standard, values []string) (string, error) {
	mark := ""
	if len(values) == 0 {
		values, mark = standard, "#"
	}
	if len(values) == 0 {
		return fmt.Sprintf("  #%s: []", key), nil
	}
	var out strings.Builder
	fmt.Fprintf(&out, "  %s%s:", mark, key)
	for _, v := range values {
		text, err := yaml.Marshal(v)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "\n  %s  - %s", mark, strings.TrimSpace(string(text)))
	}
	return out.String(), nil
}
