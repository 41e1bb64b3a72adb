#!/usr/bin/env bash
# A private RabbitMQ, Redis (AOF on) and S3 (SeaweedFS, a bucket with Object Lock) on loopback,
# on free ports, with all their data under DIR. Needs what install.sh installs; not root.
#
#   servers.sh start DIR                    starts the servers that do not run; returns when all answer
#   servers.sh stop DIR                     stops all; the data stays
#   servers.sh env DIR                      prints the settings as export lines
#   servers.sh run DIR [NAME...]            starts all, or these only, prints READY, waits until standard
#                                           input ends or a signal comes, then stops all and removes DIR
#   servers.sh kill-one DIR NAME [SIGNAL]   NAME is rabbitmq, redis or s3; SIGNAL is KILL unless given
#   servers.sh restart-one DIR NAME         ends it if it still runs, starts it, waits until it answers
#   servers.sh lose-one DIR NAME            kills it and removes its data
#   servers.sh vhosts DIR VHOST...          creates RabbitMQ virtual hosts
#   servers.sh ctl DIR ARGUMENT...          rabbitmqctl of the private node; costs two seconds of Erlang start
#   servers.sh eval DIR                     runs the Erlang of standard input in the node, at once; it has to return ok
#
# The first start in DIR may take other servers, by environment (see tests/backends.sh):
#   RABBITMQ_ROOT, REDIS_ROOT               a root directory that has them, such as that of another Debian; needs root
#   REDIS_PROGRAM                           valkey-server
#   S3_SERVER                               tests/s3_server.sh serves it
#   S3_BUCKET                               plain: without versions and Object Lock
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$(cd "$here/../.." && pwd)/.venv
rabbitmq_bin=/usr/lib/rabbitmq/bin # Debian's wrapper in /usr/sbin requires its own user
names=(epmd rabbitmq redis s3)
wanted=("${names[@]}")
bucket=cxone-audit-archives
access_key=local-access-key
secret_key=local-secret-key
start_seconds=90
stop_seconds=30

say() { printf 'servers: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
usage() { sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }

# --- processes, only by pid ---------------------------------------------------------------

# "STATE START" of a process; nothing if there is none. START distinguishes a pid from its reuse.
process() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    printf '%s %s\n' "${stat[0]}" "${stat[19]}"
}

# The pid of one of our servers that is alive (a zombie is not).
live_pid() {
    local pid start now_state now_start
    [ -f "$dir/$1/pid" ] || return 1
    read -r pid start <"$dir/$1/pid" || return 1
    read -r now_state now_start < <(process "$pid") || return 1
    [ "$now_start" = "$start" ] && [ "$now_state" != Z ] && printf '%s\n' "$pid"
}

# In `run` a server dies with this script, even if `kill -9` ends the script.
lifeline=()
holder='' # the process that reads our standard input in `run`
launch() {
    local name=$1 pid start
    shift
    (cd "$dir/$name" && exec setsid "${lifeline[@]}" "$@" </dev/null >>log 2>&1 3<&-) &
    pid=$!
    disown "$pid"
    read -r _ start < <(process "$pid") || fail "$name did not start; see $dir/$name/log"
    printf '%s %s\n' "$pid" "$start" >"$dir/$name/pid"
}

await_end() {
    local name=$1 deadline=$((SECONDS + $2))
    while live_pid "$name" >/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

signal_one() {
    local name=$1 signal=$2 pid
    pid=$(live_pid "$name") || return 0
    kill -s "$signal" "$pid" 2>/dev/null || return 0
    case $signal in
        KILL) await_end "$name" "$stop_seconds" || fail "$name survived SIGKILL" ;;
        TERM) kill -s CONT "$pid" 2>/dev/null || true ;;
    esac
}

# SeaweedFS drains for 15 s on TERM; it has given all acknowledged data to the kernel, so KILL loses nothing.
# $1 is the signal for RabbitMQ and Redis: TERM to keep the data, KILL if the data is removed next.
stop_all() {
    local name
    signal_one rabbitmq "$1"
    signal_one redis "$1"
    signal_one s3 KILL
    for name in rabbitmq redis; do await_end "$name" "$stop_seconds" || signal_one "$name" KILL; done
    signal_one epmd KILL # it has no data, and obeys TERM only while no node is registered
    for name in "${names[@]}"; do rm -f "$dir/$name/pid"; done
    # SeaweedFS always creates these and does not remove them.
    rm -f /tmp/seaweedfs-{master,volume,filer,s3}-grpc-{"$master_grpc_port","$volume_grpc_port","$filer_grpc_port","$s3_grpc_port"}.sock
}

# --- the servers ---------------------------------------------------------------------------

# Below the range for outgoing connections, so that a killed server gets its port back. All stay bound until the last one is
# chosen.
choose_ports() {
    "$venv/bin/python" - "$@" <<'PYTHON'
import random, socket, sys
low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
held, ports = [], iter(random.sample(range(10000, max(low, 20000)), 2000))
for name in sys.argv[1:]:
    for port in ports:
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            one.close()
            continue
        held.append(one)
        print(f"{name}={port}")
        break
    else:
        sys.exit("no free port")
PYTHON
}

rabbitmq_root='' redis_root='' redis_program=redis-server s3_server='' s3_bucket=locked
epmd_port='' amqp_port='' dist_port='' redis_port='' s3_port='' s3_grpc_port='' master_port='' master_grpc_port=''
volume_port='' volume_grpc_port='' filer_port='' filer_grpc_port=''

load() {
    [ -f "$dir/ports" ] || fail "nothing was started in $dir"
    # shellcheck source=/dev/null
    . "$dir/ports"
    rabbitmq_within=() redis_within=()
    [ -z "$rabbitmq_root" ] || rabbitmq_within=(unshare --mount "$here/within.sh" "$rabbitmq_root" "$dir")
    [ -z "$redis_root" ] || redis_within=(unshare --mount "$here/within.sh" "$redis_root" "$dir")
    if [ -n "$s3_server" ]; then
        access_key=GK0123456789abcdef01234567 # Garage takes keys of this form only
        secret_key=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    fi
    s3_env=(
        env AWS_ENDPOINT_URL_S3="http://127.0.0.1:$s3_port" AWS_ENDPOINT_URL="http://127.0.0.1:$s3_port"
        AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID="$access_key" AWS_SECRET_ACCESS_KEY="$secret_key"
    )
    rabbitmq_env=(
        HOME="$dir/rabbitmq" LC_ALL=C.UTF-8
        ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1
        RABBITMQ_NODENAME="offboarder-$amqp_port@localhost"
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$amqp_port" RABBITMQ_DIST_PORT="$dist_port"
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
        RABBITMQ_CTL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
        RABBITMQ_CTL_DIST_PORT_MIN=10000 RABBITMQ_CTL_DIST_PORT_MAX=32000
        RABBITMQ_MNESIA_BASE="$dir/rabbitmq/mnesia" RABBITMQ_LOG_BASE="$dir/rabbitmq/logs"
        RABBITMQ_PID_FILE="$dir/rabbitmq/beam.pid"
        RABBITMQ_CONF_ENV_FILE="$dir/rabbitmq/env.conf" RABBITMQ_CONFIG_FILE="$dir/rabbitmq/rabbitmq.conf"
        RABBITMQ_ADVANCED_CONFIG_FILE="$dir/rabbitmq/advanced.config"
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/rabbitmq/enabled_plugins"
    )
}

is_wanted() { [[ " ${wanted[*]} " == *" $1 "* ]]; }

prepare() {
    ! is_wanted rabbitmq || [ -x "${RABBITMQ_ROOT:-}$rabbitmq_bin/rabbitmq-server" ] || fail "RabbitMQ is not installed; run deploy/local/install.sh"
    ! is_wanted redis || [ -n "${REDIS_ROOT:-}" ] || command -v redis-server >/dev/null || fail "Redis is not installed; run deploy/local/install.sh"
    ! is_wanted s3 || [ -x "$venv/bin/weed" ] || fail "SeaweedFS is not installed; run deploy/local/install.sh"
    mkdir -p "${names[@]/#/$dir/}" "$dir/s3/data"
    if [ ! -f "$dir/ports" ]; then
        choose_ports epmd_port amqp_port dist_port redis_port s3_port s3_grpc_port master_port master_grpc_port \
            volume_port volume_grpc_port filer_port filer_grpc_port >"$dir/ports.new"
        printf '%s\n' "rabbitmq_root='${RABBITMQ_ROOT:-}'" "redis_root='${REDIS_ROOT:-}'" \
            "redis_program='${REDIS_PROGRAM:-redis-server}'" "s3_server='${S3_SERVER:-}'" \
            "s3_bucket='${S3_BUCKET:-locked}'" >>"$dir/ports.new"
        mv "$dir/ports.new" "$dir/ports"
    fi
    load

    : >"$dir/rabbitmq/env.conf"
    printf '[].\n' >"$dir/rabbitmq/advanced.config"
    printf '[rabbitmq_auth_mechanism_ssl].\n' >"$dir/rabbitmq/enabled_plugins"
    printf '%s\n' "listeners.tcp.1 = 127.0.0.1:$amqp_port" "log.file.level = warning" \
        "auth_mechanisms.1 = PLAIN" "auth_mechanisms.2 = AMQPLAIN" "auth_mechanisms.3 = EXTERNAL" >"$dir/rabbitmq/rabbitmq.conf"

    printf '%s\n' "bind 127.0.0.1" "port $redis_port" "dir $dir/redis" "databases 1024" \
        "appendonly yes" 'save ""' >"$dir/redis/redis.conf"

    # The identity `nobody` has only the rights of a bucket policy.
    printf '{"identities":[{"name":"%s","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":[%s]},' \
        local "$access_key" "$secret_key" '"Admin","Read","Write","List","Tagging"' >"$dir/s3/identities.json"
    printf '{"name":"%s","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":[]}]}\n' \
        nobody "$access_key-of-nobody" "$secret_key" >>"$dir/s3/identities.json"
}

launch_epmd() { launch epmd "${rabbitmq_within[@]}" epmd -address 127.0.0.1 -port "$epmd_port"; }

# With `detached` the script execs the Erlang machine, so its pid is the one that we know.
launch_rabbitmq() { launch rabbitmq "${rabbitmq_within[@]}" env detached=yes "${rabbitmq_env[@]}" "$rabbitmq_bin/rabbitmq-server"; }

launch_redis() { launch redis "${redis_within[@]}" "$redis_program" "$dir/redis/redis.conf"; }

launch_s3() {
    if [ -n "$s3_server" ]; then
        launch s3 "${s3_env[@]}" "$here/../../tests/s3_server.sh" "$s3_server" "$s3_port" "$master_port" "$volume_port"
        return
    fi
    launch s3 "$venv/bin/weed" -logtostderr=true -v=0 server -dir=data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -master.port="$master_port" -master.port.grpc="$master_grpc_port" -master.telemetry=false -master.electionTimeout=1s -master.heartbeatInterval=100ms \
        -master.volumeSizeLimitMB=1024 -volume.max=200 -volume.preStopSeconds=0 \
        -volume.port="$volume_port" -volume.port.grpc="$volume_grpc_port" \
        -filer -filer.port="$filer_port" -filer.port.grpc="$filer_grpc_port" -filer.localSocket=filer.sock \
        -s3 -s3.port="$s3_port" -s3.port.grpc="$s3_grpc_port" -s3.localSocket=s3.sock \
        -s3.port.iceberg=0 -s3.port.lance=0 -s3.config=identities.json -s3.autoCreateBucket=false
}

await_ready() {
    local name=$1 pid
    pid=$(live_pid "$name") || fail "$name ended at once; see $dir/$name/log"
    case $name in
        rabbitmq) "$venv/bin/python" "$here/ready.py" "$pid" "$start_seconds" rabbitmq "$amqp_port" ;;
        redis) "$venv/bin/python" "$here/ready.py" "$pid" "$start_seconds" redis "$redis_port" ;;
        s3) "${s3_env[@]}" "$venv/bin/python" "$here/ready.py" "$pid" "$start_seconds" s3 "$bucket" "$s3_bucket" ;;
        epmd) return 0 ;;
    esac || fail "$name did not become ready; see $dir/$name/log"
}

start_all() {
    local name waits=() wait_pid
    prepare
    for name in "${wanted[@]}"; do
        live_pid "$name" >/dev/null || "launch_$name"
    done
    for name in "${wanted[@]}"; do
        await_ready "$name" 3<&- &
        waits+=($!)
    done
    for wait_pid in "${waits[@]}"; do wait "$wait_pid" || return 1; done
}

print_env() {
    printf 'export %s\n' \
        "OFFBOARDER_QUEUE_URL='amqp://guest:guest@127.0.0.1:$amqp_port/%2f'" \
        "OFFBOARDER_CHECKPOINTS_URL='redis://127.0.0.1:$redis_port/0'" \
        "OFFBOARDER_ARCHIVE_URL='s3://$bucket/deprovisioning/'" \
        "OFFBOARDER_ARCHIVE_FORCE_PATH_STYLE=true" \
        "AWS_ENDPOINT_URL_S3='http://127.0.0.1:$s3_port'" \
        "AWS_ENDPOINT_URL='http://127.0.0.1:$s3_port'" \
        "AWS_ACCESS_KEY_ID='$access_key'" \
        "AWS_SECRET_ACCESS_KEY='$secret_key'" \
        "AWS_REGION=us-east-1"
}

run_all() {
    exec 3<&0
    lifeline=(setpriv --pdeathsig KILL)
    trap 'exit 143' TERM
    trap 'exit 130' INT
    trap 'exit 129' HUP
    trap 'trap "" TERM INT HUP; [ -z "$holder" ] || kill "$holder" 2>/dev/null || true; stop_all KILL; rm -rf "$dir"' EXIT
    start_all || fail "the servers did not start"
    printf 'READY\n'
    cat <&3 >/dev/null &
    holder=$!
    wait "$holder"
}

ctl() { "${rabbitmq_within[@]}" env "${rabbitmq_env[@]}" "$rabbitmq_bin/rabbitmqctl" --quiet "$@"; }

# The node refuses a second caller of the same name, so give each one its own.
evaluate() {
    local answer
    answer=$("${rabbitmq_within[@]}" env "${rabbitmq_env[@]}" erl_call -h "eval-$$" -sname "offboarder-$amqp_port@localhost" -fetch_stdout -e 2>&1) || fail "$answer"
    [ "${answer: -8}" = '{ok, ok}' ] || fail "RabbitMQ answers: $answer"
    printf '%s' "${answer%'{ok, ok}'}"
}

create_vhosts() {
    local vhost code=
    for vhost in "$@"; do
        code+="rabbit_vhost:add(<<\"$vhost\">>, <<\"offboarder\">>), "
        code+="rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"$vhost\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"offboarder\">>), "
    done
    evaluate <<<"${code}ok."
}

lose_one() {
    local -A kept=([rabbitmq]=mnesia [redis]=appendonlydir [s3]=data)
    signal_one "$1" KILL
    rm -rf "${dir:?}/$1/${kept[$1]}"
    mkdir -p "$dir/$1/${kept[$1]}"
}

one_of_ours() { case $1 in rabbitmq | redis | s3) ;; *) usage ;; esac; }

[ $# -ge 2 ] || usage
command=$1
case $command in
    start | run) mkdir -p "$2" ;;
    stop) [ -d "$2" ] || exit 0 ;;
    *) [ -d "$2" ] || fail "nothing was started in $2" ;;
esac
dir=$(cd "$2" && pwd)
shift 2
case $command in
    start) start_all || { stop_all TERM; fail "the servers did not start"; } ;;
    stop) [ ! -f "$dir/ports" ] || { load; stop_all TERM; } ;;
    env) load; print_env ;;
    run) [ $# -eq 0 ] || wanted=("$@"); run_all ;;
    kill-one) one_of_ours "${1:-}"; signal_one "$1" "${2:-KILL}" ;;
    lose-one) one_of_ours "${1:-}"; lose_one "$1" ;;
    restart-one) one_of_ours "${1:-}"; load; signal_one "$1" KILL; "launch_$1"; await_ready "$1" ;;
    vhosts) load; create_vhosts "$@" ;;
    ctl) load; ctl "$@" ;;
    eval) load; evaluate ;;
    *) usage ;;
esac
