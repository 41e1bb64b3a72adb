#!/usr/bin/env bash
# A playground on this machine: private servers (servers.sh), the simulator with faults, a worker, and a batch of fifty
# users of whom some become dead letters. Everything is below DIR and ends with this script.
#
#   play.sh run DIR PROGRAM    starts it, prints commands to try, and runs until a signal comes
#   play.sh stop DIR           ends it from another shell
#   play.sh try DIR PROGRAM    starts it, runs these commands, and ends; for tests
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
servers=$here/servers.sh
started=() # pids, in the order in which they started

say() { printf '%s\n' "$*"; }
fail() { printf 'play: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }

user() { printf '00000001-5eed-4000-8000-%012x\n' "$1"; }

await() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "$what did not start within 60 s; see $dir/*.log"
        sleep 0.1
    done
}

end_all() {
    trap '' TERM INT HUP
    local index pid
    # The worker first: it drains.
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        pid=${started[index]}
        kill "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    "$servers" stop "$dir/servers"
    rm -f "$dir/pid"
}

# Users 3 and 4 cannot be deactivated, 7 and 8 cannot be archived, 11 to 14 cannot be deleted.
write_faults() {
    local first=1 operation status code number
    printf '['
    while read -r operation status code number; do
        [ "$first" = 1 ] || printf ','
        first=0
        printf '{"operation":"%s","user":"%s","fault":{"kind":"status","status":%s,"code":"%s"}}' \
            "$operation" "$(user "$number")" "$status" "$code"
    done <<'FAULTS'
put_scim_user 422 profile_locked 3
put_scim_user 422 profile_locked 4
query_conversations 400 interval_too_long 7
query_conversations 400 interval_too_long 8
delete_user 409 compliance_hold 11
delete_user 409 compliance_hold 12
delete_user 409 compliance_hold 13
delete_user 409 compliance_hold 14
FAULTS
    printf ']\n'
}

write_settings() {
    "$servers" env "$dir/servers"
    sed -n '/^export /p' "$dir/simulator.log"
    printf 'export OFFBOARDER_INTEGRITY_KEY=%s\n' "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"
    printf "export PATH=%q:\$PATH\n" "$(dirname "$program")"
}

start_all() {
    printf '%s\n' "$$" >"$dir/pid"
    trap 'exit 143' TERM
    trap 'exit 130' INT
    trap 'exit 129' HUP
    trap end_all EXIT
    "$servers" start "$dir/servers"

    write_faults >"$dir/faults.json"
    "$program" simulator --listen 127.0.0.1:0 --users 50 --conversations 20 --faults "$dir/faults.json" \
        >"$dir/simulator.log" 2>&1 &
    started+=("$!")
    await 'the simulator' grep -q CLIENT_SECRET "$dir/simulator.log"

    (umask 077 && write_settings >"$dir/settings")
    # shellcheck disable=SC1091
    . "$dir/settings"
    "$program" topology >/dev/null
    "$program" worker >"$dir/worker.log" 2>&1 &
    started+=("$!")

    local number
    for number in {0..49}; do user "$number"; done >"$dir/leavers.txt"
    user 4096 >>"$dir/leavers.txt" # CXone does not know this one
    "$program" submit --file "$dir/leavers.txt" --batch-id play --requested-by play --reason 'to try it out' >/dev/null
}

commands() {
    say 'offboarder doctor'
    say 'offboarder batch show play --watch'
    say 'offboarder dead-letters groups'
    say "offboarder status $(user 3)"
    say 'offboarder verify --all'
}

run() {
    start_all
    say
    say 'Fifty users are being off-boarded. In another shell:'
    say
    say "  . $dir/settings"
    commands | sed 's/^/  /'
    say
    say "Logs: $dir/worker.log and $dir/simulator.log. Ctrl-C, or \`make play-stop\`, ends everything."
    wait "${started[-1]}" || true
    fail "the worker ended by itself; see $dir/worker.log"
}

try() {
    export OFFBOARDER_CXONE_RATE_ROUTING=off OFFBOARDER_CXONE_RATE_SCIM=off OFFBOARDER_CXONE_RATE_ANALYTICS=off
    export OFFBOARDER_ADMIN_LISTEN=127.0.0.1:0
    start_all
    local line status
    while read -r line; do
        say "\$ $line"
        status=0
        timeout 120 bash -c "$line" </dev/null || status=$?
        # 1: the answer is bad, for example a dead letter.
        [ "$status" -le 1 ] || fail "$line ended with $status"
    done < <(commands)
}

[ $# -ge 2 ] || usage
command=$1
[ "$command" = stop ] || mkdir -p "$2"
[ -d "$2" ] || exit 0
dir=$(cd "$2" && pwd)
case $command in
    stop)
        [ -f "$dir/pid" ] || exit 0
        read -r pid <"$dir/pid"
        kill "$pid" 2>/dev/null || rm -f "$dir/pid"
        while [ -f "$dir/pid" ]; do sleep 0.1; done
        ;;
    run | try)
        [ $# -eq 3 ] || usage
        program=$(cd "$(dirname "$3")" && pwd)/$(basename "$3")
        [ ! -f "$dir/pid" ] || fail "it runs already in $dir (make play-stop)"
        "$command"
        ;;
    *) usage ;;
esac
