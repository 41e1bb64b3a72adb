#!/usr/bin/env bash
# Installs what building and testing need on Debian, and says what it does.
# A second run finds everything in place and changes nothing.
#
#   install.sh compiler   a C compiler and linker, for the crates that bring C code
#   install.sh servers    RabbitMQ, Redis, openssl and libfaketime from Debian; SeaweedFS and Python packages in .venv
#   install.sh            both
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
requirements=$root/tests/python/requirements.txt
venv=$root/.venv
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
# Ours stands there during the installation alone; one that was there before comes back after it.
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

# Keeps the units of packages that we brought from starting at the next boot.
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

python_packages() {
    local stamp=$venv/requirements.installed python=/usr/bin/python3
    if cmp -s "$requirements" "$stamp" && [ -x "$venv/bin/python" ]; then
        say "present: .venv"
        return
    fi
    [ -x "$python" ] || python=python3
    say "python -m venv .venv; pip install -r tests/python/requirements.txt"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$stamp"
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

case ${1:-all} in
    compiler) compiler ;;
    servers) servers ;;
    all) compiler; servers ;;
    *) fail "usage: install.sh [compiler|servers]" ;;
esac
