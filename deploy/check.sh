#!/usr/bin/env bash
# Checks deploy/ with standard tools where they are installed, and on real servers that it starts.
# Reports each check as done (with which tool) or says why it could not be done. Ends with 1 if a check failed.
# `deploy/local/install.sh deploy` installs the tools.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/.venv
export PATH=$venv/bin:$PATH:$venv/opt/usr/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
undone=()

have() { command -v "$1" >/dev/null; }

# check WHAT COMMAND…: shows the output only if the command fails.
check() {
    local what=$1 log=$work/log
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        printf 'ok         %s\n' "$what"
    else
        printf 'FAILED     %s\n' "$what"
        sed 's/^/           /' "$log"
        failed+=("$what")
    fi
}

# with TOOL WHAT COMMAND…: like `check`, if the tool is installed.
with() {
    local tool=$1 what=$2
    shift 2
    if have "$tool"; then check "$what" "$@"; else cannot "$what" "$tool is not here"; fi
}

cannot() {
    printf 'not done   %s: %s\n' "$1" "$2"
    undone+=("$1")
}

# --- shell, image, compose -----------------------------------------------------------------

mapfile -t scripts < <(find deploy tests .ci -type f \( -name '*.sh' -o -path '.ci/*' \))
with shellcheck "shell scripts (shellcheck)" shellcheck --severity=style "${scripts[@]}"
with hadolint "Dockerfile (hadolint)" hadolint --failure-threshold=info deploy/Dockerfile
with check-jsonschema "compose.yaml, the Compose schema (check-jsonschema)" \
    check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml

with promtool "prometheus.yml of compose (promtool check config)" \
    promtool check config --syntax-only deploy/compose/prometheus.yml

the_image_lives() {
    local context=$work/context
    mkdir "$context" || return
    sed -n 's/^!//p' .dockerignore | xargs cp --parents -r -t "$context" || return
    cargo metadata --locked --no-deps --format-version 1 --manifest-path "$context/Cargo.toml" >/dev/null || return
    # distroless/cc has these shared libraries, and no others.
    ! ldd "$binary" | grep -vE 'linux-vdso|ld-linux-|lib(c|m|gcc_s|dl|pthread|rt)\.so'
}
cannot "the image itself, and compose as a whole" "needs a Docker daemon and registries"
cannot "base images by digest" "needs a registry; the tags are all that is known"

# --- crates --------------------------------------------------------------------

check "crates: sources, checksums, licences, bans, by deny.toml" "$venv/bin/python" deploy/check/crates.py check
if have cargo-audit; then
    check "crates: advisories (cargo audit)" cargo audit --deny warnings
else
    cannot "crates: advisories" "cargo-audit is not here"
fi

# --- systemd -------------------------------------------------------------------------------

# `verify` needs a program that exists; /bin/true takes its place.
unit=$work/offboarder-worker.service
sed 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' deploy/systemd/offboarder-worker.service >"$unit"
with systemd-analyze "unit (systemd-analyze verify)" systemd-analyze verify --man=no "$unit"
with systemd-analyze "unit: exposure of at most 1.5 of 10 (systemd-analyze security)" \
    systemd-analyze security --offline=true --threshold=15 --no-pager "$unit"

# --- Prometheus and Grafana ----------------------------------------------------------------

with promtool "alert rules (promtool check rules)" promtool check rules --lint-fatal deploy/prometheus/alerts.yml
with promtool "alerts fire when they should (promtool test rules)" promtool test rules deploy/prometheus/alerts_test.yml
facts=("$venv/bin/python" deploy/check/facts.py)
queries() { "${facts[@]}" expressions >"$work/dashboard.yml" && promtool check rules "$work/dashboard.yml"; }
with promtool "queries of the dashboard (promtool check rules)" queries
cannot "the dashboard in Grafana" "no Grafana can be had from Debian or PyPI"

# --- Kubernetes ----------------------------------------------------------------------------

render() { "${kustomize[@]}" "deploy/kubernetes/$1" >"$work/$1.yaml"; }
kustomize=()
if have kustomize; then kustomize=(kustomize build); elif have kubectl; then kustomize=(kubectl kustomize); fi
if [ ${#kustomize[@]} -eq 0 ]; then
    cannot "manifests of Kubernetes and KEDA" "neither kustomize nor kubectl is here"
else
    check "worker is rendered (${kustomize[*]})" render worker
    check "keda is rendered (${kustomize[*]})" render keda
    rendered=("$work/worker.yaml" "$work/keda.yaml")
    # Debian's kubectl 1.20 has Kustomize 2, which does not know `patches`.
    if [ "${kustomize[0]}" = kubectl ] && kubectl version --client 2>/dev/null | grep -q 'GitVersion:"v1\.\(1\|20\)'; then
        old=yes
        cannot "the example overlay is rendered" "this kubectl is too old; it needs Kustomize 4"
    else
        check "the example overlay is rendered (${kustomize[*]})" render example
    fi
    with kubernetes-validate "objects of Kubernetes, strictly (kubernetes-validate)" \
        kubernetes-validate --strict --quiet "$work/worker.yaml"
    if [ "${old:-no}" = no ]; then
        check "rabbitmq is rendered (${kustomize[*]})" render rabbitmq
        check "the overlay with every component is rendered (${kustomize[*]})" render everything
        standard() { "$venv/bin/python" deploy/check/facts.py standard "$work/everything.yaml" >"$work/standard.yaml"; }
        check "the overlay's objects of Kubernetes are separated from those of operators" standard
        with kubernetes-validate "the overlay's objects of Kubernetes, strictly (kubernetes-validate)" \
            kubernetes-validate --strict --quiet "$work/standard.yaml"
        check "what the components share with other files, and what refers to what" "${facts[@]}" components "$work/everything.yaml"
        if [ -n "${CRDS:-}" ]; then
            check "objects of all operators, by the schemas in $CRDS" "${facts[@]}" components "$work/everything.yaml" "$CRDS"
        else
            cannot "objects of Prometheus' and RabbitMQ's operators, by their schemas" \
                "CRDS=FOLDER names a folder with their CustomResourceDefinitions"
        fi
    fi
    check "objects of KEDA, by KEDA's own schemas, and what refers to what" "${facts[@]}" kubernetes "${rendered[@]}"
fi
cannot "admission by an API server, and KEDA's reading of the triggers" "needs a cluster"

# --- S3 ------------------------------------------------------------------------------------

policy() { parliament <"deploy/s3/$1"; }
with parliament "worker-policy.json (parliament)" policy worker-policy.json
with parliament "bucket-policy.json (parliament)" policy bucket-policy.json
with parliament "actions and conditions of both, by AWS' list (parliament)" "${facts[@]}" policies
cannot "the condition on If-None-Match in force" "SeaweedFS does not know s3:if-none-match; it needs AWS"

# --- what has to agree, and real servers -----------------------------------------------------

check "names, links, grace periods, rights: the files agree" "${facts[@]}" agree
# As the tests build it: `cargo build` uses other features of some crates, and would rebuild half of them.
cargo test --locked --quiet --no-run
binary=${CARGO_TARGET_DIR:-$root/target}/debug/offboarder
check "the image's build context suffices, and its base has the libraries" the_image_lives
check "definitions of RabbitMQ, ACL of Redis, policies of S3: a worker lives by those rights, and has no more" \
    "$venv/bin/python" deploy/check/services.py "$binary" deploy/local/servers.sh "$work/services"
shown=$work/services/metrics.txt
of_a_worker() { promtool check metrics <"$shown"; }
if [ -s "$shown" ]; then
    with promtool "what that worker shows on /metrics (promtool check metrics)" of_a_worker
    check "every metric is there, and labels are bounded" "${facts[@]}" exported "$shown"
else
    cannot "what that worker shows on /metrics" "it did not get that far"
fi

printf '\n%s checks failed, %s could not be done.\n' "${#failed[@]}" "${#undone[@]}"
[ ${#failed[@]} -eq 0 ]
