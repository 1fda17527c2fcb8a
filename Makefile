# Everything a developer types. `make help` lists the targets.

SHELL := /bin/sh
GO ?= go
# Tools are built once, outside of the checkout.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/importer-tools
GOLANGCI := $(TOOLS)/golangci-lint-v2.15.0
GOVULNCHECK := $(TOOLS)/govulncheck-v1.1.4
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# What go vet finds, make lint tells.
PACKAGES := ./...
# Those of cmd/importer and of the daemon run whole imports on real ledgers, and so
# the rooms that are not named here.
RACING := ./cmd/importer ./internal/daemon/... ./internal/importer ./internal/source
# Scripts type one command after the other. What those do at once, other tests do
# under worse conditions.
TYPING := ^TestScripts$$

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

.PHONY: demo
demo: setup build ## one full morning on a private PostgreSQL and a simulated dialer
	./bin/importer demo

.PHONY: test
test: ## all tests
	@tools/setup test
	$(GO) test -vet=off -timeout 20m $(PACKAGES)

.PHONY: setup
setup: ## install what demo needs: PostgreSQL's programs
	@tools/setup

.PHONY: build
build: ## build ./bin/importer
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.stamp=$(VERSION)' -o bin/importer ./cmd/importer

.PHONY: check
check: lint ## what every commit passes: formatting, lint, vet, the tests
	$(MAKE) test

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint with go vet; go mod tidy; the unit; known vulnerabilities
	$(GOLANGCI) run
	$(GO) vet -tags crashpoints ./internal/crashpoint/
	$(GO) mod tidy -diff
	@tools/unit configs/systemd/importer.service
	@$(MAKE) --no-print-directory vuln

.PHONY: vuln
vuln: $(GOVULNCHECK)
	@tools/vuln $(GOVULNCHECK)

.PHONY: race
race: ## the tests of what does several things at once, under the race detector
	@tools/setup race
	CGO_ENABLED=1 $(GO) test -race -vet=off -timeout 20m -skip '$(TYPING)' $(RACING)

.PHONY: crash
crash: setup ## kill real imports at random moments: 200 times, or CRASH_KILLS=2000, or CRASH_FOR=20m
	IMPORTER_CRASH_FOR=$(CRASH_FOR) IMPORTER_CRASH_KILLS=$(or $(CRASH_KILLS),$(if $(CRASH_FOR),,200)) IMPORTER_CRASH_SEED=$(CRASH_SEED) \
		$(GO) test -count=1 -timeout 0 -run TestKilledAtRandomMoments -v ./cmd/importer

.PHONY: soak
soak: setup ## kill replicas of importer serve at random moments for two minutes, or SOAK_FOR=20m
	IMPORTER_SOAK_FOR=$(or $(SOAK_FOR),2m) IMPORTER_SOAK_SEED=$(SOAK_SEED) \
		$(GO) test -count=1 -timeout 0 -run TestReplicasKilledAtRandomMoments -v ./cmd/importer

.PHONY: model
model: ## explore the delivery protocol for a while (MODEL_FOR=1m)
	IMPORTER_MODEL_FOR=$(or $(MODEL_FOR),1m) $(GO) test -count=1 -timeout 0 -run InEvery -v ./internal/importer/proof/...

.PHONY: bench
bench: setup ## measure reading and real imports against their targets (docs/performance.md)
	$(GO) run ./tools/bench

.PHONY: bench-go
bench-go: ## the packages' own small benchmarks
	@tools/setup test
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

.PHONY: dist
dist: ## static programs for linux and darwin with their pages, reproducible, and their sums: in dist/
	VERSION=$(VERSION) SOURCE_DATE_EPOCH=$(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null)) $(GO) run ./tools/dist

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

$(GOLANGCI):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/bin/golangci-lint $@

$(GOVULNCHECK):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/bin $(GO) install golang.org/x/vuln/cmd/govulncheck@v1.1.4
	mv $(TOOLS)/bin/govulncheck $@
