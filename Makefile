# Every check of the project is a target here; .ci/run calls all but the last three.

MODULES  := $(sort $(dir $(shell git ls-files '*go.mod')))
RELEASED := tracecontext/ ./ contrib/
BACKENDS := e2e/ e2e/stack/ e2e/stack/collector/ interop/
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

in_each = @set -e; for m in $(1); do echo "== $$m $(2)"; (cd $$m && $(2)); done

.PHONY: test check lint race demo e2e release-check docker-check screenshots

test: ## every test that needs nothing but Go, in the modules that are released
	$(call in_each,$(RELEASED),go test ./...)

check: ## formatting, tidy modules and vet, in every module
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on the files above"; exit 1; }
	$(call in_each,$(MODULES),go mod tidy -diff)
	$(call in_each,$(MODULES),go vet ./...)

lint: ## golangci-lint at its pinned version, in every module but the Collector's, which is one list
	$(call in_each,$(filter-out e2e/stack/collector/,$(MODULES)),go run $(LINT) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...)

race: ## the tests of the released modules under the race detector, and those of the others that need nothing but Go
	$(call in_each,$(RELEASED),go test -race ./...)
	$(call in_each,$(filter-out $(RELEASED) $(BACKENDS),$(MODULES)),go test ./...)

demo: ## one trace across two processes
	go run ./cmd/clew demo

e2e: ## real backends and browsers, built or installed as needed; the modules at the same time, because they mostly wait
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; }
	@all=; failed=0; for m in $(filter $(BACKENDS),$(MODULES)); do (cd $$m && go test -count=1 -timeout 40m ./...) & all="$$all $$!"; done; \
	for m in $$all; do wait $$m || failed=1; done; exit $$failed

release-check: ## a release into a module proxy on disk, and its use; part of e2e
	cd e2e && go test -v -count=1 -timeout 40m -run Release ./release

docker-check: ## our images, built and run (.ci/with-docker make docker-check starts an engine for it)
	cd e2e && go test -v -count=1 -timeout 40m -run Docker .

screenshots: ## the pictures of docs/view.md
	cd e2e && go test -run ViewScreenshots . -args -screenshots ../docs/view
