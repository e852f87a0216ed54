"""The files for servers follow the rules of their tools, name real metrics, and have a runbook for every alert."""

import configparser
import json
import re
from typing import Any

import promql_parser
import pytest
import yaml

from tests.support.deploy.template import ROOT

DEPLOY = ROOT / "deploy"
SOURCE = (ROOT / "src/bursar/portal/metrics/metrics.py").read_text()
METRICS = set(re.findall(r'"(bursar_[a-z_]+)"', SOURCE)) | {
    f"bursar_webhooks_{name}" for name in ("waiting", "failing", "dead")
}
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"][0]["rules"]
RULE_KEYS = {"alert", "expr", "for", "labels", "annotations"}
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/bursar.json").read_text())
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_promql_over_metrics_that_are_exported(expression: str) -> None:
    promql_parser.parse(expression)
    for name in re.findall(r"bursar_\w+", expression):
        plain = re.sub(r"_(total|bucket|count|sum)$", "", name)
        assert plain in METRICS or name in METRICS, name


def test_every_alert_has_a_runbook() -> None:
    headings = (ROOT / "docs/deploy.md").read_text().splitlines()
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys() <= RULE_KEYS, rule["alert"]
        assert re.fullmatch("[0-9]+[smhd]", rule.get("for", "0s"))
        assert f"### {rule['alert']}" in headings
        assert rule["annotations"]["runbook"] == f"docs/deploy.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_board_has_panels_with_ids_and_places_of_their_own() -> None:
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= BOARD.keys()
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]}
    assert len(places) == len(BOARD["panels"])


def test_the_image_runs_as_a_plain_user_with_a_health_check() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert all(":latest" not in text and ":" in text for name, text in instructions if name == "FROM")
    assert ["USER", "10001:10001"] in instructions
    names = [name for name, _ in instructions]
    assert "HEALTHCHECK" in names
    assert "ADD" not in names
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")
    assert all(text.startswith("[") for name, text in instructions if name in ("CMD", "ENTRYPOINT"))
    assert all("--no-cache-dir" in text for name, text in instructions if name == "RUN" and "pip install" in text)


def test_the_builder_gets_what_the_images_copy_and_nothing_else() -> None:
    copied = set()
    for image in ("Dockerfile", "dynamo.Dockerfile"):
        lines = [line.split() for line in (DEPLOY / image).read_text().splitlines()]
        copied |= {name.removeprefix("./") for line in lines if line[:1] == ["COPY"] for name in line[1:-1]}
    copied = {name for name in copied if not name.startswith(("--from", "/"))}
    first, *others = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    assert {line.removeprefix("!") for line in others if line.startswith("!")} == copied


def test_the_unit_allows_nothing_that_the_portal_does_not_need() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]  # systemd's names have capitals
    unit.read(DEPLOY / "bursar.service")
    service = unit["Service"]
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    hardened = (
        "NoNewPrivileges",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectHome",
        "RestrictNamespaces",
        "LockPersonality",
    )
    assert {service[name] for name in hardened} == {"yes"}
    assert service["User"] == "bursar"


def test_containers_meet_the_restricted_pod_security_standard() -> None:
    (portal,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert portal["read_only"]
    assert portal["cap_drop"] == ["ALL"]
    documents = {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    pod = documents["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    for each in (container, *pod["initContainers"]):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert documents["StatefulSet"]["spec"]["replicas"] == 1
    assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= container.keys()
    assert documents["Service"]["spec"]["selector"] == documents["StatefulSet"]["spec"]["selector"]["matchLabels"]


def test_the_group_of_the_pod_gets_no_rights_to_private_files() -> None:
    """Read the pod: with ``fsGroup``, its group may read its secret, and at each start all files of a volume."""
    documents = {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    pod = documents["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    secrets = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
    (portal,), (copies,) = pod["containers"], pod["initContainers"]
    assert not secrets & {mount["name"] for mount in portal["volumeMounts"]}
    assert {"install", "--mode=600"} <= set(copies["command"])
    folder = next(mount["mountPath"] for mount in portal["volumeMounts"] if mount["name"] == "private")
    used = {each["value"] for each in portal["env"] if each["value"].startswith(folder)}
    copied = {path.rpartition("/")[2] for path in copies["command"] if path.startswith("/secret/")}
    assert used == {f"{folder}/{name}" for name in copied}
