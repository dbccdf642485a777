# Everything here needs Go, make, git and a POSIX shell; e2e and bench-e2e need Docker besides. `make` alone lists the targets.

.POSIX:

GO       = go
FUZZTIME = 1m
QUERIES  = 100000
SEED     = 1
LOAD     = 3m
CACHE    = .cache
STAGE    = sh tools/stage.sh
TOOL     = $(GO) tool -modfile=tools.mod
# What `make run` passes on to the demo: make run ARGS='--series 20000'
ARGS     =

help: ## list the targets
	@echo 'Stride: a columnar PromQL engine'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

build: ## build bin/stride
	$(GO) build -o bin/stride ./cmd/stride

image: ## build the container image of the command, from scratch
	@GO='$(GO)' sh tools/image.sh

run: build ## build the command, make sample data (kept in .cache/demo) and run queries on it
	bin/stride demo --cache $(CACHE)/demo $(ARGS)

demo: build ## start a root and three leaves on sample data, compare distributed with local queries, and serve until Ctrl-C
	bin/stride demo-cluster --cache $(CACHE)/demo $(ARGS)

proto: ## make the Go code of the .proto files again
	cd tools/protogen && $(GO) run .

golden: ## make wire bytes with Thanos' own types again, and check Stride's by them
	@GO='$(GO)' sh tools/golden.sh

# make -k test goes on behind a stage that fails.
test: stage-vet stage-vet-arm64 stage-lint stage-api stage-unit stage-suite ## run every check and test: vet, lint, unit, suite

stage-vet:
	@$(STAGE) vet $(GO) vet ./...
stage-vet-arm64:
	@$(STAGE) vet-arm64 $(MAKE) -s vet-arm64
stage-lint:
	@$(STAGE) lint $(MAKE) -s staticcheck
stage-api:
	@$(STAGE) api $(MAKE) -s api
stage-unit:
	@$(STAGE) unit $(MAKE) -s unit
stage-suite:
	@$(STAGE) suite $(MAKE) -s suite

lint: ## run vet and staticcheck, and show what a change breaks for users of the packages
	$(GO) vet ./...
	@$(MAKE) -s staticcheck api

vet-arm64: ## compile and vet everything for the other processor that is released
	GOARCH=arm64 $(GO) vet ./...

staticcheck: ## run staticcheck alone
	$(TOOL) staticcheck ./...

api: ## compare the exported names with the last release, or what a branch started from
	@TOOL='$(TOOL)' GO='$(GO)' sh tools/apidiff.sh

unit: ## run all tests but Prometheus' test suite
	@GO='$(GO)' sh tools/gotest.sh -skip '^TestBuiltinSuite' ./...

suite: ## run Prometheus' test suite in all modes
	@GO='$(GO)' sh tools/suite.sh

# The chunk decoders are functions of bytes that take minutes to try in all shapes: there is nothing to race for.
race: ## run the tests under the race detector
	@GO='$(GO)' sh tools/gotest.sh -race -short -timeout 25m -skip '^TestBuiltinSuite' $$($(GO) list ./... | grep -v /internal/chunkdecode)

fuzz: ## fuzz engine and chunk decoders for FUZZTIME each
	$(GO) test ./engine -run '^$$' -fuzz '^FuzzQuery$$' -fuzztime $(FUZZTIME)
	for target in FuzzXOR FuzzXOR2 FuzzHistograms; do $(GO) test ./internal/chunkdecode -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) || exit 1; done
	$(GO) test ./source/blockindex -run '^$$' -fuzz '^FuzzSeries$$' -fuzztime $(FUZZTIME)
	$(GO) test ./logicalplan -run '^$$' -fuzz '^FuzzDecodeFragment$$' -fuzztime $(FUZZTIME)
	for target in FuzzColumns FuzzTrailer FuzzThanosSeries FuzzChunk FuzzSelection; do $(GO) test ./remote/proto/wire -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) || exit 1; done
	$(GO) test ./remote/client -run '^$$' -fuzz '^FuzzInfo$$' -fuzztime $(FUZZTIME)

differential: ## compare QUERIES generated queries with Prometheus, from SEED on
	$(GO) test ./engine -run '^TestDifferential$$' -v -timeout 0 -count 1 -queries $(QUERIES) -seed $(SEED)

distributed: ## compare QUERIES generated queries over data that is spread over engines, in each of six ways, with Prometheus
	$(GO) test ./engine -run '^Test(Distributed|Unlabelled)Differential' -v -timeout 0 -count 1 -queries $(QUERIES) -seed $(SEED)

# The harness is a module of its own, and so are parts of it.
BENCH = cd bench && $(GO) run ./cmd/bench

peers: ## build the real Prometheus and Thanos that interop tests run (some minutes, once)
	@GO='$(GO)' sh tools/peers.sh

interop: peers ## run Stride beside real Thanos and Prometheus and compare their answers
	cd e2e && $(GO) vet ./... && $(GO) test -count 1 -timeout 15m ./interop ./oracle ./measure/...

# First what says whether Docker is there: the peers take minutes. -v shows how late answers were while something was broken.
e2e: e2e-programs peers ## run the deployments in containers, with real Prometheus and Thanos, and compare their answers; the load for LOAD
	cd e2e && $(GO) vet ./... && $(GO) test -count 1 -timeout 60m -v ./scenarios -load $(LOAD)

e2e-programs:
	@GO='$(GO)' sh tools/e2e.sh

bench-e2e: e2e-programs peers ## measure distributed against other execution in containers (tens of minutes, can be gone on with), and rewrite that section of BENCHMARKS.md
	cd e2e && $(GO) test -count 1 -timeout 0 -v -run '^TestMeasure$$' ./measure -results $(CURDIR)/$(CACHE)/bench/results-e2e.jsonl
	cd e2e && $(GO) run ./measure/report -results ../$(CACHE)/bench/results-e2e.jsonl

bench: ## compare engines on a few telling queries (10 minutes on two cores)
	$(BENCH) run --tier quick --time 2s
	$(BENCH) report --results ../$(CACHE)/bench/results-quick.jsonl --out ../$(CACHE)/bench/quick.md --images ../$(CACHE)/bench/img

bench-full: ## compare engines on all queries (up to 100 minutes, can be gone on with) and rewrite BENCHMARKS.md
	$(BENCH) run --tier full --time 2s
	$(BENCH) report --results ../$(CACHE)/bench/results-full.jsonl

bench-smoke: ## run all engines on tiny data and compare their answers
	rm -f $(CACHE)/bench/smoke.jsonl
	$(BENCH) run --tier smoke --time 0s --strict --results ../$(CACHE)/bench/smoke.jsonl

bench-test: ## vet and test the harness
	cd bench/peer && $(GO) vet ./... && $(GO) test ./...
	cd bench && $(GO) vet ./... && $(GO) test ./...
	cd bench/peers/thanos && $(GO) vet ./... && $(GO) test ./...

bench-crowd: ## run 50 heavy queries at once with a limit on memory, and fail if it does not hold
	$(BENCH) crowd

bench-micro: ## run all micro-benchmarks once
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/chunkdecode ./operators/...

clean: ## remove what was built and the sample data
	rm -rf bin $(CACHE)

.NOTPARALLEL:
.PHONY: help build image run demo proto golden test stage-vet stage-vet-arm64 stage-lint stage-api stage-unit stage-suite lint vet-arm64 staticcheck api unit suite race fuzz differential distributed peers interop e2e e2e-programs bench bench-full bench-smoke bench-test bench-crowd bench-micro bench-e2e clean
