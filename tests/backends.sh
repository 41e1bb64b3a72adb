#!/usr/bin/env bash
# The servers that companies have, for the trials `backends: …`, in .backends. A second call finds them there.
#
#   backends.sh bring             brings them: from Debian 13, in a root directory of its own; from crates.io and PyPI.
#                                 One that cannot be had is a row in the table: "not tried", and why
#   backends.sh run [FILTER]      brings them, runs the trials whose names begin with FILTER, and prints their table; fails if
#                                 one trial failed
#   backends.sh smoke             the same with RabbitMQ 4 and Valkey 8 alone
#   backends.sh bring-kms         brings MiniStack alone, for `make test-kms`
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(dirname "$here")
brought=$repository/.backends
debian=$brought/debian-13
suite=trixie
install=$repository/deploy/local/install.sh

say() { printf 'backends: %s\n' "$*" >&2; }

# bring PART COMMAND...: notes that the part is here, or why not.
bring() {
    local part=$1 state=$brought/parts/$1 log=$brought/$1.log
    shift
    mkdir -p "$brought/parts"
    if [ "$(cat "$state" 2>/dev/null)" = here ]; then
        say "present: $part"
        return
    fi
    say "bringing $part; see $log"
    # A shell ignores `set -e` before a `||`, so this starts a new one.
    if "${BASH_SOURCE[0]}" --only "$@" >"$log" 2>&1; then
        echo here >"$state"
    else
        grep -v '^ *$' "$log" | tail -n 1 >"$state"
        say "could not: $part: $(cat "$state")"
    fi
}

# The mirror that apt has on this machine.
mirror() {
    # shellcheck disable=SC2016 # for apt to fill in
    apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | sed -n 's/ Debian$//p' | sort | head -n 1
}

debian() {
    [ "$(id -u)" -eq 0 ] || { echo "needs root"; return 1; }
    "$install" --only apt_install debootstrap
    rm -rf "$debian"
    debootstrap --variant=minbase "$suite" "$debian" "$(mirror)"
    printf '#!/bin/sh\nexit 101\n' >"$debian/usr/sbin/policy-rc.d" # no service starts there
    chmod 755 "$debian/usr/sbin/policy-rc.d"
    printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$debian/etc/hosts"
    chroot "$debian" apt-get update -q
}

packages() {
    [ "$(cat "$brought/parts/debian" 2>/dev/null)" = here ] || { echo "there is no Debian 13: $(cat "$brought/parts/debian")"; return 1; }
    cp /etc/resolv.conf "$debian/etc/resolv.conf"
    unshare --mount "$repository/deploy/local/within.sh" "$debian" /tmp \
        env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# Debug builds: they build in half the time, and are quick enough.
crate() { cargo install --quiet --debug --locked --root "$brought/cargo" --target-dir "$brought/target" "$@" && rm -rf "$brought/target"; }

python() {
    [ -x "$brought/venv/bin/python" ] || python3 -m venv "$brought/venv"
    "$brought/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

bring_next_releases() {
    bring debian debian
    bring rabbitmq packages rabbitmq-server
    bring valkey packages valkey-server
}

bring_all() {
    bring_next_releases
    bring redis packages redis-server
    bring ceph packages ceph-mon ceph-osd radosgw
    bring s3s-fs crate s3s-fs@0.14.1 --features binary
    bring garage crate garage@2.5.0
    bring moto python 'moto[server]==5.2.5'
    bring ministack python ministack==1.5.33
}

# Its KMS signs with `cryptography`.
bring_kms() { bring kms python ministack==1.5.33 cryptography==50.0.2; }

# try NAME...: runs the trials whose names begin so.
try() {
    local table=$brought/table status=0 name
    rm -f "$table.rows"
    for name; do
        (cd "$repository" && OFFBOARDER_BACKENDS_TABLE=$table.rows \
            cargo test --locked --test real_servers -- --include-ignored "backends: $name" --test-threads=1) || status=$?
    done
    {
        printf '%s\n' '| backend | what was done | verdict | seconds |' '| --- | --- | --- | --- |'
        sort "$table.rows" 2>/dev/null || { echo "no trial has a name that begins with \"$*\""; status=2; }
    } >"$table.md"
    printf '\n%s\n\n' "$(date --utc +%F), $(git -C "$repository" rev-parse --short HEAD), also in $table.md"
    cat "$table.md"
    return "$status"
}

case ${1:-} in
    bring) bring_all ;;
    run) bring_all; try "${2:-}" ;;
    bring-kms) bring_kms; [ "$(cat "$brought/parts/kms")" = here ] ;;
    smoke) bring_next_releases; try 'RabbitMQ 4 on Mnesia' 'Valkey 8' ;;
    --only) shift; "$@" ;;
    *) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
