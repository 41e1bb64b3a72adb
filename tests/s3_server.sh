#!/usr/bin/env bash
# Becomes another S3 server on loopback, with its data in the working directory; `backends.sh` brings them.
# It takes the access key of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
#
#   s3_server.sh ceph|garage|s3s-fs|moto|ministack PORT SPARE...   it may use the spare ports as well
#   SERVICES=kms s3_server.sh ministack PORT                       becomes a KMS, with its keys in memory
#   s3_server.sh NAME version                                      prints what it says that it is
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
brought=$repository/.backends
name=$1 port=$2

# A process that ends with this one.
beside() { setpriv --pdeathsig KILL "$@" & }

until_true() {
    until "$@" >/dev/null 2>&1; do sleep 0.2; done
}

of_package() { "$brought/venv/bin/python" -c "import importlib.metadata as m; print('$1', m.version('$1'))"; }

moto() {
    exec "$brought/venv/bin/moto_server" -H 127.0.0.1 -p "$port"
}

ministack() {
    exec env GATEWAY_PORT="$port" BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 SERVICES="${SERVICES:-s3}" IOT_MTLS_ENABLED=0 "$brought/venv/bin/ministack"
}

s3s_fs() {
    mkdir -p store
    exec "$brought/cargo/bin/s3s-fs" --host 127.0.0.1 --port "$port" \
        --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY" store
}

garage() {
    local program=("$brought/cargo/bin/garage" -c "$PWD/garage.toml")
    cat >garage.toml <<TOML
metadata_dir = "$PWD/meta"
data_dir = "$PWD/store"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$1"
rpc_public_addr = "127.0.0.1:$1"
rpc_secret = "$AWS_SECRET_ACCESS_KEY"
[s3_api]
s3_region = "$AWS_REGION"
api_bind_addr = "127.0.0.1:$port"
TOML
    if [ ! -e settled ]; then
        (
            until_true "${program[@]}" status
            "${program[@]}" layout assign --zone here --capacity 1G "$("${program[@]}" node id --quiet | cut -d @ -f 1)"
            "${program[@]}" layout apply --version 1
            "${program[@]}" key import --yes "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
            "${program[@]}" key allow --create-bucket "$AWS_ACCESS_KEY_ID"
            touch settled
        ) &
    fi
    exec "${program[@]}" server
}

# In the other root directory: a monitor, one OSD in a file, and the gateway.
ceph_inside() {
    export CEPH_CONF=$PWD/ceph.conf
    if [ ! -e settled ]; then
        rm -rf mon osd
        mkdir -p mon osd
        cat >ceph.conf <<CONF
[global]
fsid = 2a1d2b6c-2f0b-4b0e-9a5e-0c3c0a7d5e11
mon host = [v2:127.0.0.1:$1,v1:127.0.0.1:$2]
mon data = $PWD/mon
osd data = $PWD/osd
run dir = $PWD
log file = $PWD/\$name.log
pid file = $PWD/\$name.pid
admin socket = $PWD/\$name.asok
keyring = $PWD/keyring
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd class dir = $(dirname /usr/lib/*/rados-classes/libcls_rgw.so)
osd crush chooseleaf type = 0
bluestore block size = 8589934592
osd memory target = 939524096
rgw frontends = beast endpoint=127.0.0.1:$port
CONF
        ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
        monmaptool --create --clobber --fsid 2a1d2b6c-2f0b-4b0e-9a5e-0c3c0a7d5e11 \
            --addv a "[v2:127.0.0.1:$1,v1:127.0.0.1:$2]" monmap
        ceph-mon --mkfs -i a --monmap monmap --keyring keyring
    fi
    beside ceph-mon -f -i a
    until_true ceph --connect-timeout 5 osd dump
    if [ ! -e settled ]; then
        ceph osd new 5d8f9f0e-9c5b-4c7e-8f57-6a2f6f0a9d22
        ceph-osd -i 0 --mkfs --osd-uuid 5d8f9f0e-9c5b-4c7e-8f57-6a2f6f0a9d22
    fi
    beside ceph-osd -f -i 0
    until_true sh -c 'ceph osd stat | grep -q "1 up"'
    if [ ! -e settled ]; then
        radosgw-admin user create --uid local --display-name local \
            --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY"
        touch settled
    fi
    exec radosgw -f -n client.admin
}

ceph() {
    cp "$0" s3_server.sh # which the other root directory has not
    exec unshare --mount "$repository/deploy/local/within.sh" "$brought/debian-13" "$PWD" \
        bash "$PWD/s3_server.sh" ceph-inside "$port" "$@"
}

version() {
    case $name in
        ceph) chroot "$brought/debian-13" radosgw --version | cut -d ' ' -f 1-3 ;;
        garage) "$brought/cargo/bin/garage" --version | cut -d ' ' -f 1,2 | sed 's,cargo:,,' ;;
        s3s-fs) "$brought/cargo/bin/s3s-fs" --version ;;
        *) of_package "$name" ;;
    esac
}

shift 2
[ "$port" != version ] || { version; exit; }
case $name in
    ceph) ceph "$@" ;;
    ceph-inside) unset -f ceph; ceph_inside "$@" ;;
    garage) garage "$@" ;;
    s3s-fs) s3s_fs ;;
    moto | ministack) "$name" ;;
    *) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
