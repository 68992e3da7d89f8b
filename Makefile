# make help lists what there is to make.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LINT      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# A number of runs and not a time: at the end of a time go test sometimes calls
# its own deadline a failure.
FUZZTIME  ?= 50000x
ROUNDS    ?= 200
HISTORIES ?= 100000
SEED      ?= 0

.DEFAULT_GOAL := build
.PHONY: help build demo test test-long check lint fix fuzz crash histories bench interop e2e-docker e2e-k8s e2e-ci e2e-browser golden pictures cover image vuln clean

##@ Build and try

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/runner, a static binary
	cmd/runner/build.sh bin/runner '$(VERSION)'

demo: build ## a real job on the simulator, on this machine alone
	bin/runner demo

clean: ## remove what was built
	rm -rf bin

##@ Check

test: ## every test in its short form, with the race detector if there is a C compiler
	$(GO) run ./test/suite -timeout 30m

check: lint fix test ## what has to be green before a change lands

lint: ## what golangci-lint finds
	$(GO) run $(LINT) run ./...

fix: ## whether go fix or go mod tidy would change anything
	$(GO) fix -diff ./...
	$(GO) mod tidy -diff

golden: ## rewrite what the scripts expect
	$(GO) test ./cmd/runner -run TestScript -update

cover: ## coverage by package
	$(GO) test -coverpkg=./... -coverprofile=bin/cover.out ./... && $(GO) tool cover -func=bin/cover.out | tail -1

##@ Slow suites

test-long: ## every test with all zones and years, seeds and rounds
	$(GO) run ./test/suite -long -timeout 60m

fuzz: ## every fuzz test, FUZZTIME runs each
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p; \
	  done; done

crash: ## kill the program some hundred times, and count the tasks: ROUNDS from SEED on, or from a new seed
	$(GO) test -count=1 ./test/crash -v -crash.rounds=$(ROUNDS) -crash.seed=$(SEED) -timeout 1h

histories: ## random histories of files, receipts, prunes, audits and notices: HISTORIES from SEED on
	GOGC=400 $(GO) test -count=1 ./internal/engine -v -run NotElsewhere -engine.histories=$(HISTORIES) -engine.seed=$(SEED) -timeout 12h
	$(GO) test -count=1 ./internal/notify -v -run TestNoEventIsLost -notify.stories=10000 -timeout 12h

bench: build ## start-up, one-shot runs, the scheduler, the ledger, beside budgets and bare programs
	$(GO) run ./test/bench -runner bin/runner

interop: build ## the official JavaScript SDK against the simulator
	cd test/interop && npm ci --no-audit --no-fund --silent && node --test --test-reporter=spec

e2e-ci: ## the CI steps, run by act and gitlab-ci-local
	test/ci/run.sh

e2e-browser: build ## runner login and the page in a real Chromium (installed if need be, as root)
	test/browser/run

e2e-docker: ## the image and compose files on a Docker engine of its own (root)
	test/docker/run

e2e-k8s: ## the manifests in a Kubernetes of its own (root; E2E_KUBE_BUILD=1 builds it)
	test/k8s/run

##@ Release

image: ## a container image of this commit
	DOCKER_BUILDKIT=1 docker build --build-arg VERSION=$(VERSION) -t globus-runner:$(VERSION) -t globus-runner .

vuln: ## known vulnerabilities (needs the online database)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

pictures: build ## the recordings and the pages in docs/pictures, from the real program (root, npm)
	test/pictures/run
