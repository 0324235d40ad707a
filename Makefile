# Every check of the project is a target here; .ci/run calls all but busy and the last two.

MODULES  := $(sort $(dir $(shell git ls-files '*go.mod')))
BACKENDS := e2e/ e2e/stack/ e2e/stack/collector/ interop/
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

in_each = @set -e; for m in $(1); do echo "== $$m $(2)"; (cd $$m && $(2)); done

.PHONY: test busy check lint race demo e2e docker-check screenshots

test: ## every test that needs nothing but Go
	go test ./...

busy: ## the tests ten times beside a load on every core, and ten times on one processor
	@set -e; trap 'kill $$load 2>/dev/null' EXIT; \
	for core in $$(seq $$(getconf _NPROCESSORS_ONLN)); do timeout 2h sh -c 'while :; do :; done' & load="$$load $$!"; done; \
	for n in $$(seq 10); do echo "== $$n of 10, beside a load"; go test -count=1 ./...; done; \
	kill $$load; load=; \
	for n in $$(seq 10); do echo "== $$n of 10, GOMAXPROCS=1"; GOMAXPROCS=1 go test -count=1 ./...; done

check: ## formatting, tidy modules and vet, in every module
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on the files above"; exit 1; }
	$(call in_each,$(MODULES),go mod tidy -diff)
	$(call in_each,$(MODULES),go vet ./...)

lint: ## golangci-lint at its pinned version, in every module
	$(call in_each,$(MODULES),go run $(LINT) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...)

race: ## the tests that need nothing but Go under the race detector, in every module
	$(call in_each,$(filter-out $(BACKENDS),$(MODULES)),go test -race ./...)

demo: ## one trace across two processes
	go run ./cmd/clew demo

e2e: ## real backends and browsers, built or installed as needed
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; }
	$(call in_each,$(filter $(BACKENDS),$(MODULES)),go test -race -count=1 -timeout 40m ./...)

docker-check: ## our images, built and run (.ci/with-docker make docker-check starts an engine for it)
	cd e2e && go test -v -count=1 -run Docker .

screenshots: ## the pictures of docs/view.md
	cd e2e && go test -run ViewScreenshots . -args -screenshots ../docs/view
