# Every check of the project is a target here; .ci/run calls all but the last two.

MODULES  := $(sort $(dir $(shell git ls-files '*go.mod')))
BACKENDS := e2e/ e2e/stack/ e2e/stack/collector/ interop/
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

in_each = @set -e; for m in $(1); do echo "== $$m $(2)"; (cd $$m && $(2)); done

.PHONY: test check lint race hostile demo e2e docker-check screenshots

test: ## every test that needs nothing but Go
	go test ./...

check: ## formatting, tidy modules and vet, in every module
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on the files above"; exit 1; }
	$(call in_each,$(MODULES),go mod tidy -diff)
	$(call in_each,$(MODULES),go vet ./...)

lint: ## golangci-lint at its pinned version, in every module
	$(call in_each,$(MODULES),go run $(LINT) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...)

race: ## the tests that need nothing but Go under the race detector, in every module
	$(call in_each,$(filter-out $(BACKENDS),$(MODULES)),go test -race ./...)

# What docs/hostile.md says is tested. The tests of the last line have names of
# their own in packages that test much else.
hostile: ## hostile input, files, servers and kills, within 10 minutes
	go test -count=1 -timeout 4m ./internal/otlpreceiver ./internal/view ./internal/ownfile ./internal/plaintext ./delivery/internal/spool
	go test -count=1 -timeout 4m -parallel 2 -run 'Hostile|Terminal|BehindAReset' ./cmd/clew
	go test -count=1 -timeout 4m -run 'Hostile|Spool|Redirect|ServersSay' ./delivery -kills 50
	go test -count=1 -timeout 2m -run 'LongTexts|OpenRoots|TooLarge' ./sampler ./sampler/tail ./otelsetup/configfile
	go test -run - -fuzz FuzzHTTP -fuzztime 20s ./internal/otlpreceiver
	go test -run - -fuzz FuzzScan -fuzztime 20s ./delivery/internal/spool
	go test -run - -fuzz FuzzLine -fuzztime 20s ./internal/plaintext

demo: ## one trace across two processes
	go run ./cmd/clew demo

e2e: ## real backends and browsers, built or installed as needed
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; }
	$(call in_each,$(filter $(BACKENDS),$(MODULES)),go test -race -count=1 -timeout 40m ./...)

docker-check: ## our images, built and run (.ci/with-docker make docker-check starts an engine for it)
	cd e2e && go test -v -count=1 -run Docker .

screenshots: ## the pictures of docs/view.md
	cd e2e && go test -run ViewScreenshots . -args -screenshots ../docs/view
