# Every check of the project is a target here; .ci/run calls them all.

MODULES := $(sort $(dir $(shell git ls-files '*go.mod')))
LINT    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

each = @set -e; for m in $(1); do echo "== $$m: $(2)"; (cd $$m && $(2)); done

.PHONY: test check lint race e2e

test: ## every test that needs nothing but Go
	go test ./...

check: ## formatting and vet, in every module
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on the files above"; exit 1; }
	$(call each,$(MODULES),go vet ./...)

lint: ## golangci-lint at its pinned version, in every module
	$(call each,$(MODULES),go run $(LINT) run --config $(CURDIR)/.golangci.yml ./...)

race: ## the root module's tests under the race detector
	go test -race ./...

e2e: ## real backends, built or installed as needed
	cd e2e && go test -race -count=1 -timeout 40m ./...
