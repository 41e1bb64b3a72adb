"""Checks what has to agree between deploy/, the code and the documents, and what no standard tool checks.

facts.py expressions   prints the dashboard's queries as a rules file, for promtool
facts.py kubernetes RENDERED...   checks the rendered objects: KEDA's against its own schemas, and all references
facts.py components FILE [FOLDER]   checks the overlay with every component, and what it shares with other files; the objects
                       of operators against the CustomResourceDefinitions in a folder
facts.py standard FILE prints the rendered objects that every cluster knows
facts.py policies      checks the S3 policies; needs parliament
facts.py exported FILE checks the /metrics of a worker that did some work: every metric exists, labels are bounded
facts.py agree         checks everything else
"""

import json
import pathlib
import re
import sys

import yaml
from jsonschema import Draft202012Validator

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# In addition to those of docs/contract/interfaces.md.
MORE_METRICS = {
    "offboarder_queue_depth",
    "offboarder_lane_depth",
    "offboarder_lane_held",
    "offboarder_lane_oldest_job_seconds",
    "offboarder_brake_waiting",
    "offboarder_requests_waiting",
    "offboarder_approval_waiting",
    "offboarder_break_glass_total",
    "offboarder_quota_per_second",
    "offboarder_unhealthy",
    "offboarder_admin_refused_total",
    "offboarder_denied_total",
    "offboarder_people_unreadable",
    "offboarder_evidence_log_stalled_seconds",
    "offboarder_evidence_log_witnesses_behind",
}
# Fixed words and HTTP statuses; `le` is Prometheus' own.
LABELS = {"outcome", "from", "to", "step", "queue", "lane", "class", "status", "kind", "reason", "cause", "guard", "permission", "why", "le"}
faults = []


def hold(condition, text):
    if not condition:
        faults.append(text)


def text(path):
    return (ROOT / path).read_text()


def queries():
    """(panel, query) of the dashboard, with Grafana's own variables replaced."""
    dashboard = json.loads(text("deploy/grafana/offboarder.json"))
    pairs = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]
    pairs += [("annotation", one["expr"]) for one in dashboard["annotations"]["list"]]
    return [(title, query.replace("$__rate_interval", "5m")) for title, query in pairs]


def rules():
    groups = yaml.safe_load(text("deploy/prometheus/alerts.yml"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions():
    named = [{"record": f"panel:{index}", "expr": query} for index, (_title, query) in enumerate(queries())]
    print(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": named}]}))


# --- Prometheus and Grafana ----------------------------------------------------------------


def known_metrics():
    chapter = text("docs/contract/interfaces.md").split("\n## Metrics\n")[1].split("\n## ")[0]
    return set(re.findall(r"`(offboarder_\w+)", chapter)) | MORE_METRICS


def exported(file):
    shown = pathlib.Path(file).read_text()
    families = dict(re.findall(r"^# TYPE (\w+) (\w+)$", shown, re.MULTILINE))
    for metric in sorted(known_metrics() - set(families)):
        faults.append(f"a worker that did some work does not show {metric}")
    values = {}
    for family, labels in re.findall(r"^(offboarder_\w+)\{(.*)\} ", shown, re.MULTILINE):
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            hold(label in LABELS, f"{family}: unknown label {label}")
            if label not in ("le", "status"):
                values.setdefault((family, label), set()).add(value)
    for (family, label), seen in values.items():
        for value in seen:
            hold(re.fullmatch(r"[A-Za-z_.-]+(\d+s)?", value), f"{family}: {label} has an unexpected value: {value}")
    for family, kind in families.items():
        hold(kind != "counter" or family.endswith("_total"), f"{family} is a counter, and does not end in _total")


def metrics():
    known = known_metrics()
    used = [(rule.get("alert", rule.get("record")), rule["expr"]) for rule in rules()] + queries()
    seen = set()
    for name, query in used:
        for metric in re.findall(r"\boffboarder_\w+", query):
            plain = re.sub(r"_(bucket|sum|count)$", "", metric)
            seen.add(plain)
            hold(plain in known, f"{name}: no metric is called {metric}")
    hold(seen == known, f"neither alert nor panel shows {', '.join(sorted(known - seen))}")


def alerts():
    runbook = text("docs/operations/runbook.md")
    chapter = runbook.split("\n## Alerts\n")[1].split("\n## ")[0]
    sections = re.findall(r"^#### (\w+)$", chapter, re.MULTILINE)
    names = [rule["alert"] for rule in rules() if "alert" in rule]
    hold(sections == names, f"the sections under Alerts are not those of alerts.yml, in its order: {sections}, {names}")
    for rule in rules():
        if "alert" in rule:
            link = rule["annotations"]["runbook_url"]
            hold(link == f"docs/operations/runbook.md#{rule['alert'].lower()}", f"{rule['alert']} links to {link}")
    tested = text("deploy/prometheus/alerts_test.yml")
    for name in names:
        hold(f"#{name.lower()}" in tested, f"no case of alerts_test.yml sees {name} fire")


# --- links between the pages ---------------------------------------------------------------


def anchors(page):
    """The fragments of a page, as GitHub makes them; a heading that comes again gets a number."""
    seen = {}
    for head in re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, 0) + 1
    return set(seen) | {f"{slug}-{number}" for slug, count in seen.items() for number in range(1, count)}


def links():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *DEPLOY.rglob("*.md")]
    for page in sorted(one for one in pages if "node_modules" not in one.parts and "contract" not in one.parts):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            target, _, fragment = link.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = (page.parent / target).resolve() if target else page
            name = page.relative_to(ROOT)
            hold(file.exists(), f"{name} links to {target}, which does not exist")
            if fragment and file.suffix == ".md" and file.exists():
                hold(fragment in anchors(file.read_text()), f"{name} links to {link}, a heading that does not exist")


# --- what else is written twice ------------------------------------------------------------------


def seconds(found):
    return int(re.match(r"\d+", str(found)).group())


def grace():
    (default,) = re.findall(r"`OFFBOARDER_WORKER_SHUTDOWN_GRACE` \| `(\d+)s`", text("README.md"))
    unit = text("deploy/systemd/offboarder-worker.service")
    compose = yaml.safe_load(text("deploy/compose/compose.yaml"))
    pod = yaml.safe_load(text("deploy/kubernetes/worker/deployment.yaml"))["spec"]["template"]["spec"]
    settings = {
        "systemd": re.search(r"SHUTDOWN_GRACE=(\d+)s", text("deploy/systemd/worker.env")).group(1),
        "compose": compose["services"]["worker"]["environment"]["OFFBOARDER_WORKER_SHUTDOWN_GRACE"],
        "Kubernetes": re.search(r"SHUTDOWN_GRACE=(\d+)s", text("deploy/kubernetes/worker/kustomization.yaml")).group(1),
    }
    patience = {
        "systemd": re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.MULTILINE).group(1),
        "compose": compose["services"]["worker"]["stop_grace_period"],
        "Kubernetes": pod["terminationGracePeriodSeconds"],
    }
    for where, setting in settings.items():
        hold(seconds(setting) == int(default), f"{where}: the drain is {setting}, the README says {default}s")
        hold(seconds(patience[where]) >= seconds(setting) + 5, f"{where} kills after {patience[where]}, in the drain")


def redis():
    acl = text("deploy/redis/users.acl")
    called = set()
    for file in sorted((ROOT / "src/adapters/redis").rglob("*.rs")):
        called |= set(re.findall(r"redis\.call\('(\w+)'|redis::cmd\(\"(\w+)\"", file.read_text()))
    # `CONFIG GET` shows passwords: `doctor` asks where a login may, and says what it could not see.
    words = {(one or other).lower() for one, other in called} - {"config"}
    given = set(re.findall(r"\+([\w|]+)", acl))
    hold(words, "no command was found in src/adapters/redis")
    lacking = {word for word in words if not any(one == word or one.startswith(f"{word}|") for one in given)}
    hold(not lacking, f"users.acl lacks {', '.join(sorted(lacking))}")
    local = text("deploy/compose/users.acl").replace(" >local", "")
    hold(local == acl, "compose/users.acl differs from redis/users.acl in more than the password")


def policies():
    """Condition keys, against the list of AWS' own documentation that comes with parliament: it checks only those
    of an Allow."""
    import parliament

    listed = pathlib.Path(parliament.__file__).with_name("iam_definition.json").read_text()
    (service,) = [one for one in json.loads(listed) if one["prefix"] == "s3"]
    keys = {key["condition"].lower() for key in service["conditions"]} | {"aws:securetransport"}
    actions = {one["privilege"] for one in service["privileges"]}
    for name in ["worker-policy.json", "bucket-policy.json"]:
        for statement in json.loads(text(f"deploy/s3/{name}"))["Statement"]:
            for keyed in statement.get("Condition", {}).values():
                for key in keyed:
                    hold(key.lower() in keys, f"{name}, {statement['Sid']}: AWS knows no condition {key}")
            given = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for action in given:
                hold(action == "s3:*" or action[3:] in actions, f"{name}, {statement['Sid']}: AWS knows no action {action}")


def rights():
    rights = {
        action
        for statement in json.loads(text("deploy/s3/worker-policy.json"))["Statement"]
        for action in statement["Action"]
    }
    runbook = text("docs/operations/runbook.md").split("### `archive_denied`")[1].split("\n### ")[0]
    said = set(re.findall(r"`(s3:\w+)`", runbook))
    hold(said == rights, f"the runbook's rights are not those of worker-policy.json: {sorted(said ^ rights)}")


def rust():
    (channel,) = re.findall(r'channel = "(.*)"', text("rust-toolchain.toml"))
    dockerfile = text("deploy/Dockerfile")
    hold(f"FROM rust:{channel}-" in dockerfile, f"the Dockerfile does not build with Rust {channel}")
    hold(f"RUSTUP_TOOLCHAIN={channel}\n" in dockerfile, f"RUSTUP_TOOLCHAIN of the Dockerfile is not {channel}")


# --- Kubernetes ------------------------------------------------------------------------------


def kubernetes(rendered):
    objects = [one for file in rendered for one in yaml.safe_load_all(pathlib.Path(file).read_text()) if one]
    by_kind = {}
    for one in objects:
        by_kind.setdefault(one["kind"], []).append(one)
    custom(by_kind, sorted((DEPLOY / "check/keda").glob("*.yaml")))
    (pod,) = [one["spec"]["template"] for one in by_kind["Deployment"]]
    labels = pod["metadata"]["labels"].items()
    selectors = {
        "Deployment": lambda spec: spec["selector"]["matchLabels"],
        "Service": lambda spec: spec["selector"],
        "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
    }
    for kind, selector in selectors.items():
        (one,) = by_kind[kind]
        hold(selector(one["spec"]).items() <= labels, f"the {kind} selects no worker")
    (container,) = pod["spec"]["containers"]
    (config,) = by_kind["ConfigMap"]
    named = [one["configMapRef"]["name"] for one in container["envFrom"]]
    hold(named == [config["metadata"]["name"]], f"the worker reads {named}, not {config['metadata']['name']}")
    settings = set(re.findall(r"^\| `(OFFBOARDER_\w+)`", text("README.md"), re.MULTILINE))
    given = list(config["data"]) + [one["name"] for one in container["env"]]
    for name in given:
        plain = re.sub(r"_FILE$", "", name)
        hold(name.startswith("AWS_") or name in settings or plain in settings, f"no setting is called {name}")
    mounted = {one["path"] for one in pod["spec"]["volumes"][0]["secret"]["items"]}
    files = {pathlib.PurePath(one["value"]).name for one in container["env"] if one["name"].endswith("_FILE")}
    hold(mounted == files, f"the secrets {sorted(mounted ^ files)} are not both mounted and named")
    hold("Secret" not in by_kind, "the manifests contain a Secret")
    sources = "".join(file.read_text() for file in sorted((ROOT / "src").rglob("*.rs")))
    for scaled in by_kind.get("ScaledObject", []):
        target = scaled["spec"]["scaleTargetRef"]["name"]
        hold(target == by_kind["Deployment"][0]["metadata"]["name"], f"KEDA scales {target}")
        for trigger in scaled["spec"]["triggers"]:
            queue = trigger["metadata"]["queueName"]
            hold(f'"{queue}"' in sources, f"KEDA reads {queue}, which no code declares")
            named = [one["metadata"]["name"] for one in by_kind["TriggerAuthentication"]]
            hold(trigger["authenticationRef"]["name"] in named, f"KEDA's {queue} has no TriggerAuthentication")
    for file in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        if file.parent.name in ("worker", "keda"):
            one = yaml.safe_load(file.read_text())
            hold(file.name == "kustomization.yaml" or one["kind"] in by_kind, f"{file.name} is in no kustomization")


def standard(rendered):
    """Prints the objects that every cluster knows."""
    objects = [one for one in yaml.safe_load_all(pathlib.Path(rendered).read_text()) if one]
    own = ("keda.sh", "monitoring.coreos.com")
    print(yaml.safe_dump_all(one for one in objects if not one["apiVersion"].startswith(own)))


def custom(by_kind, files):
    """Objects of operators against the schemas of the operators."""
    for file in files:
        crd = yaml.safe_load(file.read_text())["spec"]
        kind = crd["names"]["kind"]
        hold(kind in by_kind, f"there is no {kind}")
        for one in by_kind.get(kind, []):
            (version,) = [v for v in crd["versions"] if f"{crd['group']}/{v['name']}" == one["apiVersion"]]
            for error in Draft202012Validator(strict(version["schema"]["openAPIV3Schema"])).iter_errors(one):
                faults.append(f"{kind} {one['metadata']['name']}, {'.'.join(map(str, error.path))}: {error.message}")


def components(rendered, schemas=None):
    objects = [one for one in yaml.safe_load_all(pathlib.Path(rendered).read_text()) if one]
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    rule = by_name["PrometheusRule", "offboarder"]["spec"]
    same = yaml.safe_load(text("deploy/prometheus/alerts.yml"))
    hold(rule == same, "monitoring/prometheus-rule.yaml differs from deploy/prometheus/alerts.yml")
    dashboard = by_name["ConfigMap", "offboarder-dashboard"]["data"]["offboarder.json"]
    hold(dashboard == text("deploy/grafana/offboarder.json"), "the dashboard of the ConfigMap is another")

    pod = by_name["Deployment", "offboarder"]["spec"]["template"]
    monitor = by_name["PodMonitor", "offboarder"]["spec"]
    hold(monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items(), "the PodMonitor selects no worker")
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    hold({one["port"] for one in monitor["podMetricsEndpoints"]} <= ports, "the PodMonitor names a port that no worker has")
    hold(not pod["metadata"].get("annotations"), "a Prometheus that follows annotations would count twice")

    check = by_name["CronJob", "offboarder-verify"]["spec"]["jobTemplate"]["spec"]["template"]
    policy = by_name["NetworkPolicy", "offboarder-verify"]["spec"]
    hold(policy["podSelector"]["matchLabels"].items() <= check["metadata"]["labels"].items(), "no policy selects the check")
    workers = by_name["Service", "offboarder"]["spec"]["selector"].items()
    hold(not workers <= check["metadata"]["labels"].items(), "the Service takes the check for a worker")

    settings = set(re.findall(r"^\| `(OFFBOARDER_\w+)`", text("README.md"), re.MULTILINE))
    for spec in (pod["spec"], check["spec"]):
        (container,) = spec["containers"]
        (config,) = [one["configMapRef"]["name"] for one in container["envFrom"]]
        hold(("ConfigMap", config) in by_name, f"{container['name']} reads {config}, which does not exist")
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        volumes = {one["name"]: {item["path"] for item in one["secret"]["items"]} for one in spec["volumes"]}
        for one in container["env"]:
            name = one["name"]
            hold(name in settings or re.sub("_FILE$", "", name) in settings, f"no setting is called {name}")
            if name.endswith("_FILE"):
                file = pathlib.PurePosixPath(one["value"])
                volume = mounts.get(str(file.parent))
                hold(file.name in volumes.get(volume, ()), f"{name} names {file}, which is not mounted")
    if schemas:
        by_kind = {}
        for one in [*objects, yaml.safe_load(text("deploy/kubernetes/rabbitmq/rabbitmq-cluster.yaml"))]:
            by_kind.setdefault(one["kind"], []).append(one)
        custom(by_kind, sorted(pathlib.Path(schemas).glob("*.yaml")))


def rabbitmq():
    """The operator's object repeats settings of rabbitmq.conf."""
    cluster = yaml.safe_load(text("deploy/kubernetes/rabbitmq/rabbitmq-cluster.yaml"))
    conf = text("deploy/rabbitmq/rabbitmq.conf").splitlines()
    for line in cluster["spec"]["rabbitmq"]["additionalConfig"].splitlines():
        hold(line in conf, f"rabbitmq-cluster.yaml says {line!r}, and rabbitmq.conf does not")


def packages():
    """Each Python package that is installed has hashes, and what is asked for is among them."""
    pin = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)")

    def pins(lines):
        found = [match.groups() for match in map(pin.match, lines) if match]
        return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found}

    for folder in ["tests/python", "deploy", "docs/examples"]:
        locked = text(f"{folder}/requirements.txt")
        missing = pins(text(f"{folder}/requirements.in").splitlines()) - pins(locked.splitlines())
        hold(not missing, f"{folder}/requirements.txt lacks {sorted(missing)}: `make requirements`")
        entries = [one for one in re.split(r"^(?=\w)", locked, flags=re.MULTILINE) if pin.match(one)]
        hold(entries, f"{folder}/requirements.txt is empty")
        for entry in entries:
            hold("--hash=sha256:" in entry, f"{folder}/requirements.txt: no hash of {entry.split()[0]}")


def strict(schema):
    """An API server drops members that the schema does not have; here they are faults."""
    if isinstance(schema, dict):
        schema = {key: strict(value) for key, value in schema.items()}
        free = schema.get("x-kubernetes-preserve-unknown-fields") or not schema.get("properties")
        if schema.get("type") == "object" and "additionalProperties" not in schema and not free:
            schema["additionalProperties"] = False
        return schema
    return [strict(one) for one in schema] if isinstance(schema, list) else schema


def main(command, *arguments):
    if command == "expressions":
        return expressions()
    if command == "standard":
        return standard(*arguments)
    if command == "kubernetes":
        kubernetes(arguments)
    elif command == "components":
        components(*arguments)
    elif command == "exported":
        exported(*arguments)
    elif command == "policies":
        policies()
    else:
        for check in (metrics, alerts, links, grace, redis, rabbitmq, rights, rust, packages):
            check()
    for fault in faults:
        print(f"  {fault}")
    sys.exit(bool(faults))


main(*sys.argv[1:])
