#!/usr/bin/env bash
# Several servers of Redis over TLS, each of which wants a certificate, on free loopback ports:
#   redis_fleet.sh sentinel|cluster DIRECTORY DOWN_AFTER_MS PORT...
# Six ports: a master, two replicas and three sentinels with a password of their own; or six nodes of a cluster.
# It makes the file `ready`, and ends with the servers when standard input closes.
set -u
arrangement=$1 down_after=$3
cd "$2" || exit 1
shift 3
ports=("$@")

exec 3<&0
{
  cat <&3 >/dev/null
  # A server that was stopped ends once it continues.
  for pid in ./*.pid; do kill "$(cat "$pid")"; kill -s CONT "$(cat "$pid")"; done
  kill $$
} 2>/dev/null &

key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
{
  # shellcheck disable=SC2086
  openssl req -x509 $key -keyout ca.key -out ca.pem -subj /CN=nobody-knows -days 2 &&
    openssl req $key -keyout key.pem -out request.pem -subj /CN=redis &&
    echo 'subjectAltName=IP:127.0.0.1' >names &&
    openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
} 2>openssl.log || exit 1

cli() { redis-cli --tls --cacert ca.pem --cert cert.pem --key key.pem --no-auth-warning "$@"; }

# serve PORT [LINE...]: a server with these lines of settings; its process is in PORT.pid.
serve() {
  local port=$1 line
  shift
  mkdir -p "$port"
  {
    printf '%s\n' 'bind 127.0.0.1' 'port 0' "tls-port $port" "tls-replication yes" "dir $PWD/$port" \
      "tls-cert-file $PWD/cert.pem" "tls-key-file $PWD/key.pem" "tls-ca-cert-file $PWD/ca.pem"
    for line; do echo "$line"; done
  } >"$port.conf"
  redis-server "$port.conf" ${sentinel:+--sentinel} >"$port.log" 2>&1 &
  echo $! >"$port.pid"
}

until_true() {
  until "$@" >/dev/null 2>&1; do sleep 0.1; done
}

secret=(--pass secret)
data=('save ""' 'appendonly yes' 'requirepass secret' 'masterauth secret')

sentinels() {
  local port
  data+=('min-replicas-to-write 1' 'min-replicas-max-lag 3')
  serve "${ports[0]}" "${data[@]}"
  for port in "${ports[@]:1:2}"; do serve "$port" "${data[@]}" "replicaof 127.0.0.1 ${ports[0]}"; done
  for port in "${ports[@]:1:2}"; do
    until_true eval "cli -p $port ${secret[*]} info replication | grep -q master_link_status:up"
  done
  sentinel=yes
  for port in "${ports[@]:3:3}"; do
    serve "$port" 'requirepass of-sentinels' 'sentinel sentinel-pass of-sentinels' \
      "sentinel monitor main 127.0.0.1 ${ports[0]} 2" 'sentinel auth-pass main secret' \
      "sentinel down-after-milliseconds main $down_after" 'sentinel failover-timeout main 10000'
  done
  for port in "${ports[@]:3:3}"; do
    until_true eval "cli -p $port --pass of-sentinels sentinel master main | grep -A1 num-other-sentinels | grep -qx 2"
    until_true eval "cli -p $port --pass of-sentinels sentinel master main | grep -A1 num-slaves | grep -qx 2"
  done
}

cluster() {
  local port
  for port in "${ports[@]}"; do
    serve "$port" "${data[@]}" 'cluster-enabled yes' 'tls-cluster yes' "cluster-node-timeout $down_after"
  done
  for port in "${ports[@]}"; do until_true eval "cli -p $port ${secret[*]} ping"; done
  cli "${secret[@]}" --cluster create "${ports[@]/#/127.0.0.1:}" --cluster-replicas 1 --cluster-yes >create.log 2>&1
  for port in "${ports[@]}"; do
    until_true eval "cli -p $port ${secret[*]} cluster info | grep -q cluster_state:ok"
    until_true eval "cli -p $port ${secret[*]} cluster nodes | grep -c slave | grep -qx 3"
  done
}

if [ "$arrangement" = sentinel ]; then sentinels; else cluster; fi
touch ready
wait
