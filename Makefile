# DeCube. `make help` lists the targets; what a target does beyond a line or two
# is a Go program under internal/tools.

MODULE  := github.com/decube/decube
VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null)
COMMIT  ?= $(shell git describe --always --abbrev=40 --exclude '*' --dirty=+dirty 2>/dev/null)
LDFLAGS := -s -w -X $(MODULE)/internal/version.number=$(VERSION:v%=%) -X $(MODULE)/internal/version.commit=$(COMMIT)
TOOLS   := bin/tools

GOLANGCI_LINT := $(TOOLS)/golangci-lint@v2.15.0
GOVULNCHECK   := $(TOOLS)/govulncheck@v1.9.0

# Rooms that share memory between goroutines: `make check` runs them a second
# time, with the race detector and shorter loops.
CONCURRENT := $(addsuffix /...,$(addprefix ./,api blockstore crdtsync dht internal/lane internal/streams ledger node protocols snapshot))

FUZZTIME ?= 20s
SEED     ?= 1
RUNS     ?= 1000

.DEFAULT_GOAL := help
.PHONY: help build demo test race lint check fuzz sim mutants hostile bench golden generate fmt cover vuln clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## static binaries into ./bin
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/... ./testnet/demo

demo: build ## a swarm of real processes: snapshot, register, find, fetch, restore, compare, prove
	bin/demo -bin bin

test: ## every test, once
	go test ./...

race: ## every test under the race detector, loops at full length
	go test -race ./...

lint: $(GOLANGCI_LINT) ## go vet, golangci-lint, formatting
	$(GOLANGCI_LINT) run ./...

check: build lint test ## all that a change must pass: build, lint, arch, tests, race where it pays
	go test -race -short $(CONCURRENT)

fuzz: ## every fuzz target for FUZZTIME (20s)
	go run ./internal/tools/fuzz -time $(FUZZTIME) ./...

sim: ## whole nodes of the ledger under RUNS seeds from SEED on, with faults; PROFILE and V=-v narrow it down
	go run ./testnet/sim/cmd/sim -seed $(SEED) -runs $(RUNS) $(if $(PROFILE),-profile $(PROFILE)) $(V)

mutants: ## plant every bug of testnet/sim/mutants, or MUTANT: the simulator must find each
	go run ./testnet/sim/cmd/mutants $(MUTANT)

hostile: build ## as root: attack real daemons in namespaces of their own, by ATTACK or in every way; FLAGS narrows it down
	go build -trimpath -buildvcs=false -o bin/ ./testnet/hostile/cmd/hostile
	bin/hostile -bin bin $(if $(ATTACK),-attack $(ATTACK)) $(FLAGS)

bench: build ## every benchmark as a ratio to this machine's limits, into ./bench-results
	bin/decubectl benchmark all --output bench-results/latest.json

golden: ## rewrite golden files and transcripts from what the code does now
	DECUBE_UPDATE_GOLDEN=1 go test ./...
	go test ./internal/bench -rewrite

generate: ## generated code and documents
	go generate ./...

fmt: $(GOLANGCI_LINT) ## format as lint asks
	$(GOLANGCI_LINT) fmt ./...

cover: ## coverage of every package by its own tests
	go test -coverprofile=coverage.out ./... && go tool cover -func=coverage.out | tail -1

vuln: $(GOVULNCHECK) ## known vulnerabilities in what we link
	$(GOVULNCHECK) ./...

clean: ## remove what the targets above made
	rm -rf bin coverage.out bench-results

# Tools carry their version in their name, so that raising it installs anew.
$(GOLANGCI_LINT): TOOL = github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(GOVULNCHECK):   TOOL = golang.org/x/vuln/cmd/govulncheck
$(TOOLS)/%:
	GOBIN=$(abspath $(TOOLS)) go install $(TOOL)@$(lastword $(subst @, ,$@))
	mv $(TOOLS)/$(notdir $(TOOL)) $@
