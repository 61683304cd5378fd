# brightstat: start here. `make` alone lists the targets.
#
# On a fresh Debian machine with Rust, every target sets up what it needs: it installs missing
# Debian packages with apt, once, and says so.

CARGO ?= cargo
# This machine's architecture in Debian's words, and the one to build for.
NATIVE := $(shell dpkg --print-architecture 2>/dev/null || echo amd64)
ARCH ?= $(NATIVE)
# Cross builds for a Pi are static, with musl: they need no library on the card.
IS_CROSS := $(filter-out $(NATIVE),$(ARCH))
TARGET_arm64 := aarch64-unknown-linux-musl
TARGET_armhf := arm-unknown-linux-musleabihf
BINARY := target/$(if $(IS_CROSS),$(TARGET_$(ARCH))/)release/brightstat
# How they are built: "cross" (a container), "host" (this machine's cargo), or "auto" (either).
WAY ?= auto
PREFIX ?= /usr/local
ROOT = $(DESTDIR)$(PREFIX)
# What `make run` adds to the command line, such as RUN="--interface wlan0".
RUN ?=
# command-or-file:package; a package is installed if its command or file is there.
BUILD_NEEDS := cc:build-essential /usr/include/pcap/pcap.h:libpcap-dev
CHECK_NEEDS = $(BUILD_NEEDS) $(PAGE_NEEDS) shellcheck:shellcheck mandoc:mandoc
TEST_NEEDS = $(CHECK_NEEDS) ip:iproute2 chromium:chromium slowhttptest:slowhttptest \
	/usr/bin/faketime:faketime setpriv:util-linux \
	$(STRIP_arm64) $(STRIP_armhf) $(CROSS_NEEDS) $(BOOT_NEEDS) $(PACKAGE_NEEDS) $(APPLIANCE_NEEDS) $(IMAGE_NEEDS)
NIGHTLY_NEEDS = $(DEB_NEEDS) ip:iproute2 python3:python3 $(STRIP_arm64) $(STRIP_armhf) losetup:mount mkfs.ext4:e2fsprogs podman:podman runc:runc mmdebstrap:mmdebstrap
PAGE_NEEDS := node:nodejs npm:npm
BENCH_NEEDS := $(BUILD_NEEDS) ip:iproute2 valgrind:valgrind darkstat:darkstat tcpdump:tcpdump \
	ethtool:ethtool python3:python3 wrk:wrk taskset:util-linux

.DEFAULT_GOAL := help
.PHONY: help run build ui test nightly test-cross test-boot test-containers check unit bench soak screenshots man \
	guide sample reference install deb dist apt-repo test-package test-appliance image test-image clean need-%

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## watch this machine's network and serve the page (asks for root)
	@./tests/as-root.sh env HOME="$$HOME" $(BINARY) run --database "$(CURDIR)/target/run/brightstat.db" $(RUN)

check: ui ## formatting, lints, unit and property tests; no root, five minutes
	@./tests/need.sh $(CHECK_NEEDS)
	@./tests/deny.sh --install
	@CARGO="$(CARGO)" ./tests/stages.sh check

test: ui ## all that a change can break here, which is what .ci/run runs (root)
	@./tests/need.sh $(TEST_NEEDS)
	@./tests/deny.sh --install
	@CARGO="$(CARGO)" ./tests/stages.sh test

nightly: ui ## soak, containers, fuzzing, reproducible builds: hours (root)
	@./tests/need.sh $(NIGHTLY_NEEDS)
	@CARGO="$(CARGO)" ./tests/stages.sh nightly

CROSS_NEEDS := qemu-arm-static:qemu-user-static ip:iproute2 lintian:lintian
test-cross: ui ## the programs for the Pis under QEMU, held against this machine's (root)
	@./tests/need.sh $(BUILD_NEEDS) $(CROSS_NEEDS)
	@for arch in $(NATIVE) arm64 armhf; do $(MAKE) --no-print-directory build ARCH=$$arch WAY=host || exit; done
	@./tests/as-root.sh ./tests/cargo-as-root.sh test --locked --test cross -- --ignored
	@for arch in arm64 armhf; do $(MAKE) --no-print-directory deb ARCH=$$arch WAY=host && \
		./tests/as-root.sh ./tests/package/foreign.sh target/deb/brightstat_$(VERSION)_$$arch.deb $$arch || exit; done

BOOT_NEEDS := qemu-system-arm:qemu-system-arm python3:python3
test-boot: ## an emulated Raspberry Pi Zero: brightstat captures on its kernel
	@./tests/need.sh $(BUILD_NEEDS) $(BOOT_NEEDS)
	@$(MAKE) --no-print-directory build ARCH=armhf WAY=host
	$(CARGO) run --quiet --locked --example captures -- target/captures home.pcapng
	@./tests/boot/run.py "$$($(MAKE) --no-print-directory where ARCH=armhf)" target/captures/home.pcapng target/boot

where: # BINARY of ARCH
	@echo $(BINARY)

test-containers: ## the way with containers makes the same program (root, Podman; ARCH=arm64)
	@./tests/need.sh $(BUILD_NEEDS)
	@$(MAKE) --no-print-directory build ARCH=$(or $(IS_CROSS),arm64) WAY=host
	@./tests/containers.sh $(or $(IS_CROSS),arm64) "$$($(MAKE) --no-print-directory where ARCH=$(or $(IS_CROSS),arm64))"

UI := src/web/ui
ui: $(UI)/dist/index.html.gz ## the page, bundled and compressed (Node.js)

$(UI)/node_modules/.package-lock.json: $(UI)/package-lock.json
	@./tests/need.sh $(PAGE_NEEDS)
	cd $(UI) && npm ci --loglevel=error
	@touch $@

$(UI)/dist/index.html.gz: $(UI)/node_modules/.package-lock.json $(UI)/package.json \
		$(UI)/tsconfig.json $(UI)/build.mjs $(wildcard $(UI)/src/*)
	cd $(UI) && npm run --silent build

build: ui ## the release binary of ARCH (this machine's; or arm64, armhf: every Raspberry Pi)
	@./tests/need.sh $(BUILD_NEEDS)
	@CARGO="$(CARGO)" ./debian/toolchain/build.sh $(ARCH) $(WAY)

bench: build ## speed and memory, as ratios to darkstat and to bare libpcap (root)
	@./tests/need.sh $(BENCH_NEEDS)
	@./tests/as-root.sh python3 tests/bench.py --binary $(BINARY)

soak: ui ## a year of made-up history: its size, what it wears and what a question reads (root)
	@./tests/need.sh $(BUILD_NEEDS) losetup:mount
	@./tests/as-root.sh ./tests/soak.sh ./tests/cargo-as-root.sh bench --locked --bench history

SCREENSHOT_NEEDS := ip:iproute2 chromium:chromium python3:python3 pngquant:pngquant
screenshots: build ## pictures of every view, in target/screenshots; one goes into the README (root)
	@./tests/need.sh $(SCREENSHOT_NEEDS)
	@./tests/as-root.sh ./tests/screenshots.sh $(BINARY)
	pngquant --force --output $(UI)/screenshot.png target/screenshots/now-desktop-light.png

man: ui ## the manual pages and completions, in target/man and target/completions
	@./tests/need.sh $(BUILD_NEEDS)
	$(CARGO) run --quiet --locked --example manual -- target

sample: ## write the sample configuration anew from the table of settings
	@./tests/need.sh $(BUILD_NEEDS)
	@mkdir -p target
	$(CARGO) run --quiet --locked -- check-config --sample > target/sample.toml
	mv target/sample.toml src/config/brightstat.toml

reference: man ## write docs/api-reference.md anew from the table of routes
	mv target/api-reference.md docs/api-reference.md

# The user guide as it is installed: all pages in one folder, with the links between them.
GUIDE ?= target/guide
guide:
	install -d $(GUIDE)/examples
	for page in $(filter-out docs/ARCHITECTURE.md docs/BUILDING.md,$(wildcard docs/*.md)) SECURITY.md src/store/views.md; do \
		sed 's#](\.\./src/store/#](#g; s#](\.\./src/config/#](examples/#g; s#](\.\./#](#g; s#](docs/#](#g' \
			$$page > $(GUIDE)/$${page##*/} && chmod 644 $(GUIDE)/$${page##*/} || exit; done
	install -m 644 src/config/brightstat.toml $(GUIDE)/examples/brightstat.toml

# Debian's paths; the units name the binary by its path.
install: build man ## install below PREFIX (/usr/local) of DESTDIR
	install -D -m 755 $(BINARY) $(ROOT)/bin/brightstat
	install -d $(ROOT)/share/man/man1 $(ROOT)/share/man/man5
	install -m 644 target/man/*.1 $(ROOT)/share/man/man1
	install -m 644 target/man/*.5 $(ROOT)/share/man/man5
	install -D -m 644 target/completions/brightstat.bash $(ROOT)/share/bash-completion/completions/brightstat
	install -D -m 644 target/completions/_brightstat $(ROOT)/share/zsh/vendor-completions/_brightstat
	install -D -m 644 target/completions/brightstat.fish $(ROOT)/share/fish/vendor_completions.d/brightstat.fish
	@$(MAKE) --no-print-directory guide GUIDE=$(ROOT)/share/doc/brightstat
	install -D -m 644 src/config/etc.toml $(DESTDIR)/etc/brightstat/brightstat.toml
	install -D -m 644 src/config/conf.d.README $(DESTDIR)/etc/brightstat/conf.d/README
ifneq ($(PREFIX),/usr)
	sed -i 's|/usr/share/doc|$(PREFIX)/share/doc|' $(ROOT)/share/man/man[15]/brightstat*
	install -d $(ROOT)/lib/systemd/system
	for unit in systemd/*.service systemd/*.socket systemd/*.timer; do \
		sed 's|/usr/bin/|$(PREFIX)/bin/|' $$unit > $(ROOT)/lib/systemd/system/$${unit#systemd/}; done
	install -D -m 644 systemd/brightstat.sysusers $(DESTDIR)/etc/sysusers.d/brightstat.conf
	install -D -m 644 systemd/brightstat.tmpfiles $(DESTDIR)/etc/tmpfiles.d/brightstat.conf
	@echo "To run it: systemd-sysusers && systemd-tmpfiles --create && systemctl enable --now brightstat.socket brightstat"
endif

VERSION = $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
DEB = target/deb/brightstat_$(VERSION)_$(ARCH).deb
DEB_NEEDS = $(BUILD_NEEDS) dh:debhelper dpkg-buildpackage:dpkg-dev $(STRIP_$(IS_CROSS))
STRIP_arm64 := aarch64-linux-gnu-strip:binutils-aarch64-linux-gnu
STRIP_armhf := arm-linux-gnueabihf-strip:binutils-arm-linux-gnueabihf
deb: ## the Debian package of ARCH (this machine's), in target/deb
	@./tests/need.sh $(DEB_NEEDS)
	@mkdir -p target/deb
	DEB_DESTINATION=$(CURDIR)/target/deb DEB_BUILD_PROFILES="$(if $(filter $(ARCH),$(NATIVE)),,cross )nocheck" \
		dpkg-architecture --host-arch $(ARCH) --force --command debian/rules clean binary

# One architecture at a time: debhelper works in debian/.
dist: ## all packages, SHA256SUMS, SBOM and third-party licences, in target/dist
	@for arch in amd64 arm64 armhf; do $(MAKE) --no-print-directory deb ARCH=$$arch || exit; done
	@rm -rf target/dist
	@mkdir -p target/dist
	./debian/dist/inventory.py target/dist x86_64-unknown-linux-gnu $(TARGET_arm64) $(TARGET_armhf)
	cp $(foreach arch,amd64 arm64 armhf,target/deb/brightstat_$(VERSION)_$(arch).deb) target/dist
	cd target/dist && sha256sum * > ../SHA256SUMS && mv ../SHA256SUMS .

APT_REPO_NEEDS := reprepro:reprepro gpg:gnupg
PACKAGE_NEEDS = $(DEB_NEEDS) $(APT_REPO_NEEDS) systemd-nspawn:systemd-container mmdebstrap:mmdebstrap \
	lintian:lintian ip:iproute2 sysctl:procps python3:python3 autopkgtest:autopkgtest
test-package: deb ## the package on booted Debians, from installation to purge (root)
	@./tests/need.sh $(PACKAGE_NEEDS)
	@./tests/as-root.sh ./tests/package/run.sh $(DEB)

APPLIANCE_NEEDS := $(DEB_NEEDS) systemd-nspawn:systemd-container mmdebstrap:mmdebstrap ip:iproute2 \
	sysctl:procps python3:python3 dnsmasq:dnsmasq-base ping:iputils-ping
test-appliance: deb ## what the image holds, on booted machines: settings, port, bridge (root)
	@./tests/need.sh $(APPLIANCE_NEEDS)
	@./tests/as-root.sh ./tests/image/appliance.sh $(DEB)

# The owner's key, as gpg knows it, and where the repository will be published.
KEY ?=
URL ?=
apt-repo: ## an apt repository of target/deb, in target/apt: KEY=fingerprint URL=https://...
	@./tests/need.sh $(APT_REPO_NEEDS)
	@[ -n "$(KEY)" ] && [ -n "$(URL)" ] || { echo "make apt-repo KEY=fingerprint URL=https://example.org/apt (see docs/package.md)" >&2; exit 64; }
	./debian/apt/make-repo.sh "$(KEY)" "$(URL)" target/apt $(filter-out %dbgsym%,$(wildcard target/deb/brightstat_*.deb))

# BASE is raspios (the product), debian (a stand-in), or an image of your own. URL is the folder
# where the image will be published; LEVEL is that of xz, 0 to 9. KEYRING is the archive keyring
# of `make apt-repo`: with it baked in, `apt upgrade` on the card upgrades brightstat, too.
BASE ?=
KEYRING ?=
LEVEL ?= 6
IMAGE_ARCH = $(if $(filter arm64 armhf,$(ARCH)),$(ARCH),arm64)
IMAGE_NEEDS := fakeroot:fakeroot debugfs:e2fsprogs mcopy:mtools sfdisk:fdisk fsck.fat:dosfstools xz:xz-utils \
	bmaptool:bmap-tools readelf:binutils gpg:gnupg python3:python3 systemctl:systemd
image: ## a flashable image, in target/image: ARCH=arm64|armhf BASE=raspios|debian|PATH.img[.xz]
	@./tests/need.sh $(IMAGE_NEEDS)
	@$(MAKE) --no-print-directory deb ARCH=$(IMAGE_ARCH)
	@LEVEL=$(LEVEL) ./image/make $(IMAGE_ARCH) "$(BASE)" target/deb/brightstat_$(VERSION)_$(IMAGE_ARCH).deb $(VERSION) "$(URL)" "$(KEYRING)"

test-image: ## both images baked, looked into and booted in QEMU (root)
	@./tests/need.sh $(IMAGE_NEEDS) $(APT_REPO_NEEDS) mmdebstrap:mmdebstrap
	@for arch in arm64 armhf; do $(MAKE) --no-print-directory deb ARCH=$$arch || exit; done
	@./tests/as-root.sh ./tests/image/run.sh target/deb/brightstat_$(VERSION)_arm64.deb target/deb/brightstat_$(VERSION)_armhf.deb

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf $(UI)/dist $(UI)/node_modules
