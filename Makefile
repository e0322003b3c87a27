# hull: 'make help' lists what there is.

PREFIX  ?= /usr/local
DESTDIR ?=
GO      ?= go
# What `make test`, `make validate`, `make bench` and `make soak` run.
RUNTIME ?= $(CURDIR)/hull
export RUNTIME

VERSION := 0.1.0
COMMIT  := $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)

# netgo, osusergo: pure Go, so that nothing of glibc's NSS is linked.
# urfave_cli_no_docs: drops a markdown renderer that costs 0.35 ms a process.
TAGS    := netgo osusergo urfave_cli_no_docs
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -extldflags "-static"

# The newest containerd without what no test asks of it.
CONTAINERD := $(addprefix github.com/containerd/containerd/v2/cmd/,containerd containerd-shim-runc-v2 ctr)
CONTAINERD_TAGS := no_btrfs no_devmapper no_tracing no_zfs grpcnotrace urfave_cli_no_docs

CACHE     := $(CURDIR)/.cache
FUZZTIME  ?= 30s
CYCLES    ?= 10000
# How `make soak-engine` is done: a duration is for each of the runtimes.
CONTAINERS ?= 500
DURATION   ?= 10m

.PHONY: hull
hull: ## build a static ./hull (the default)
	@.ci/packages -n build
	CGO_ENABLED=1 $(GO) build -buildmode=exe -buildvcs=false -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o $@ .

.PHONY: install
install: hull ## install to DESTDIR/PREFIX/sbin
	install -D -m 0755 hull '$(DESTDIR)$(PREFIX)/sbin/hull'

.PHONY: demo
demo: ## run containers and see what they see; installs what is missing
	@.ci/packages build demo
	@$(MAKE) --no-print-directory hull
	@docs/demo.sh

.PHONY: test
test: packages-test hull ## run all tests; the last line sums them up
	@mkdir -p $(CACHE)
	@$(GO) run ./tests/cmd/summary -tags '$(TAGS)' -map ./tests/cmd/conformance -skipped $(CACHE)/skipped

.PHONY: test-vm
test-vm: packages-vm hull $(if $(filter engines,$(MODE)),engine-tools) ## run the black-box suite in virtual machines: MODE="root systemd user" RUN= KERNEL=trixie
	@TAGS='$(TAGS)' tests/vm/suite

.PHONY: vm
vm: packages-vm hull ## a shell in such a machine; MODE=user for an ordinary user's
	@tests/vm/boot $(if $(filter user,$(MODE)),--user) bash -l

.PHONY: conformance
conformance: ## write docs/conformance.md, and list what it lacks
	@$(GO) run -tags '$(TAGS)' ./tests/cmd/conformance

.PHONY: validate
validate: packages-test ## run the OCI validation suite against RUNTIME, print a table
	@$(GO) test -C tests/validate -count=1 -timeout=30m

.PHONY: test-engines
test-engines: hull engine-tools ## run Podman, containerd, CRI, Buildah and Docker with hull, and with runc
	@.ci/packages engines
	@$(GO) test -json -count=1 -timeout=60m -tags '$(TAGS) engines' ./tests/engines | $(GO) run ./tests/cmd/summary -events /dev/stdin

.PHONY: engine-tools
engine-tools:
	@mkdir -p $(CACHE)/engines
	@cd tests/engines/cri && export GOBIN=$(CACHE)/engines && \
		CGO_ENABLED=0 $(GO) install -trimpath -tags '$(CONTAINERD_TAGS)' -ldflags '-s -w' . $(CONTAINERD) && \
		CGO_ENABLED=1 $(GO) install -trimpath -tags 'seccomp netgo osusergo' -ldflags '-s -w -extldflags -static' github.com/opencontainers/runc

.PHONY: soak
soak: packages-test ## CYCLES containers and as many execs into one, eight at a time; nothing may leak
	@$(GO) run ./tests/cmd/soak -cycles $(CYCLES) -execs $(CYCLES)

.PHONY: soak-engine
soak-engine: hull ## CONTAINERS at once under containerd, come and go for DURATION, with hull and with runc
	@.ci/packages engines
	@SOAK_CONTAINERS=$(CONTAINERS) SOAK_DURATION=$(DURATION) \
		$(GO) test -v -count=1 -timeout=0 -tags '$(TAGS) engines' -run '^TestSoak' ./tests/engines

.PHONY: fuzz
fuzz: ## run each fuzz test for FUZZTIME
	@$(GO) list -tags '$(TAGS)' ./... | while read -r package; do \
		$(GO) test -tags '$(TAGS)' -list '^Fuzz' "$$package" | grep '^Fuzz' | while read -r name; do \
			echo "$$package $$name"; \
			$(GO) test -tags '$(TAGS)' -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$package" || exit 1; \
		done || exit 1; \
	done

.PHONY: bench
bench: ## time hull, crun and runc side by side
	@.ci/packages build bench
	@$(MAKE) --no-print-directory hull
	@$(GO) run ./tests/bench

.PHONY: lint
lint: lint-tools ## gofumpt, golangci-lint, clang-format and -Wall -Wextra -Werror
	@.ci/lint

.PHONY: lint-tools
lint-tools:
	@.ci/packages build lint
	@mkdir -p $(CACHE)/bin
	@cd tools/lint && GOBIN=$(CACHE)/bin $(GO) install tool

.PHONY: packages-test
packages-test:
	@.ci/packages build test

.PHONY: packages-vm
packages-vm:
	@.ci/packages build vm

.PHONY: clean
clean: ## remove what was built
	rm -rf hull $(CACHE)

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
