# Every check of the project is a target here; .ci/run calls all but busy, hostile and the last three.

MODULES  := $(sort $(dir $(shell git ls-files '*go.mod')))
RELEASED := tracecontext/ ./ contrib/
BACKENDS := e2e/ e2e/stack/ e2e/stack/collector/ interop/
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

in_each = @set -e; for m in $(1); do echo "== $$m $(2)"; (cd $$m && $(2)); done

.PHONY: test check lint race busy hostile demo e2e e2e-auto release-check docker-check screenshots

test: ## every test that needs nothing but Go, in the modules that are released
	$(call in_each,$(RELEASED),go test ./...)

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

lint: ## golangci-lint at its pinned version, in every module but the Collector's, which is one list
	$(call in_each,$(filter-out e2e/stack/collector/,$(MODULES)),go run $(LINT) run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...)

race: ## the tests of the released modules under the race detector, and those of the others that need nothing but Go
	$(call in_each,$(RELEASED),go test -race ./...)
	$(call in_each,$(filter-out $(RELEASED) $(BACKENDS),$(MODULES)),go test ./...)

# What docs/hostile.md says is tested. The tests of the last line have names of
# their own in packages that test much else.
hostile: ## hostile input, files, servers and kills, within 10 minutes
	go test -count=1 -timeout 4m ./internal/otlpreceiver ./internal/view ./internal/ownfile ./internal/plaintext ./delivery/internal/spool
	go test -count=1 -timeout 4m -parallel 2 -run 'Hostile|Terminal|BehindAReset|Secrets|WhenKilled' ./cmd/clew
	go test -count=1 -timeout 4m -run 'Hostile|Spool|Redirect|ServersSay|Culprit|TakesNothing|LargeSpans|OTLPServerCounts' ./delivery -kills 50
	go test -count=1 -timeout 2m -run 'LongTexts|OpenRoots|TooLarge|ValuesHaveALength' ./sampler ./sampler/tail ./otelsetup ./otelsetup/configfile
	go test -count=1 -timeout 2m ./internal/redact
	go test -count=1 -timeout 2m -run 'Secrets|ShutdownLeaves|CloseLeaves|LongMessage' ./clewhttp ./internal/settings ./otelsetup/otlpgrpc ./otelsetup/internal/conformance
	go test -run - -fuzz FuzzHTTP -fuzztime 20s ./internal/otlpreceiver
	go test -run - -fuzz FuzzScan -fuzztime 20s ./delivery/internal/spool
	go test -run - -fuzz FuzzLine -fuzztime 20s ./internal/plaintext
	go test -run - -fuzz FuzzSecrets -fuzztime 20s ./internal/redact

demo: ## one trace across two processes
	go run ./cmd/clew demo

e2e: ## real backends and browsers, built or installed as needed; the modules at the same time, because they mostly wait
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; }
	@all=; failed=0; for m in $(filter $(BACKENDS),$(MODULES)); do (cd $$m && go test -count=1 -timeout 40m $$(go list ./... | grep -v /e2e/auto)) & all="$$all $$!"; done; \
	for m in $$all; do wait $$m || failed=1; done; exit $$failed

# The standard library's own tests mostly wait; the rest of e2e-auto mostly compiles.
STANDARD := TestStandardLibrary|TestOtherReleases

e2e-auto: ## clew go: programs built by it, and the standard library's own tests over the patched one
	command -v qemu-aarch64-static >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends qemu-user-static; }
	@cd e2e; go test -v -count=1 -timeout 25m -run '$(STANDARD)' ./auto & standard=$$!; \
	go test -v -count=1 -timeout 25m -skip '$(STANDARD)' ./auto || failed=1; wait $$standard && test -z "$$failed"

release-check: ## a release into a module proxy on disk, and its use; part of e2e
	cd e2e && go test -v -count=1 -timeout 40m -run Release ./release

docker-check: ## our images, built and run (.ci/with-docker make docker-check starts an engine for it)
	cd e2e && go test -v -count=1 -timeout 40m -run Docker .

screenshots: ## the pictures of docs/view.md
	cd e2e && go test -run ViewScreenshots . -args -screenshots ../docs/view
