# Dermaga's tasks. `make` alone lists them.
#
# Everything here works for any user, root included: PostgreSQL refuses to run
# as root, so the tests and `dermaga dev` drop its privileges themselves.

.DEFAULT_GOAL := help
SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 2m
# RUN narrows `make test`, `test-clients`, `test-suites` and `soak` to the tests whose names match it.
RUN      ?= .
OUT      ?= bin/dermaga
# DEV holds flags for `dermaga dev`, as in: make run DEV="--listen 127.0.0.1:7432"
DEV      ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Start a broker with a private PostgreSQL and the tenant demo
	bin/dermaga dev $(DEV)

.PHONY: build
build: ## Build bin/dermaga, a static binary that knows its version; OUT puts it elsewhere
	CGO_ENABLED=0 $(GO) build -buildvcs=auto -trimpath -ldflags '-s -w' -o $(OUT) ./cmd/dermaga

.PHONY: test
test: ## Test everything with -race on a real PostgreSQL, real clients included
	$(TOOL) gotestsum --format pkgname -- -race -timeout 12m -run '$(RUN)' ./...

.PHONY: test-clients
test-clients: ## Only psql, pgbench, pg_dump and the drivers, through a broker; writes what came of it into docs
	$(GO) test -race -count 1 -v -run '$(RUN)' ./test/clients -update

.PHONY: test-suites
test-suites: ## Drivers' own test suites, directly and through a broker: twenty minutes; RUN narrows
	$(GO) test -count 1 -v -timeout 50m -run '$(RUN)' ./test/suites -suites

.PHONY: soak
soak: ## Run the tests of fairness, of fleets and of session state at full size and length, some two hours; RUN narrows
	$(GO) test -count 1 -v -timeout 20m -run '$(if $(filter .,$(RUN)),TakeTurns|ShareAServers,$(RUN))' ./broker -long
	$(GO) test -count 1 -v -timeout 80m -run '$(RUN)' ./test/fleet -long
	$(GO) test -count 1 -timeout 20m -run '$(RUN)' ./test/state -long
	$(GO) test -count 1 -v -timeout 120m -run '$(RUN)' ./test/model -long

.PHONY: lint
lint: ## go vet, staticcheck, errcheck and gofumpt
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) errcheck -exclude tools/errcheck.txt ./...
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then \
		printf 'not formatted, run make format:\n%s\n' "$$unformatted"; exit 1; \
	fi

.PHONY: format
format: ## Format the code with gofumpt
	$(TOOL) gofumpt -w .

.PHONY: bench
bench: ## Measure the broker beside its peers; BENCH="flags" for more
	$(GO) run ./bench $(BENCH)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (2m), one after another
	@$(GO) test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' \
	| while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; \
	done
