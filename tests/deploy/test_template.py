"""The template of deploy/ describes what the code needs: tables, policies, handlers, settings, metrics, runbooks."""

import importlib
import json
import re
from typing import Any

import pytest

from bursar.bootstrap.bill.units import UNITS as BILLED
from bursar.bootstrap.lambda_functions.embedded_metrics import NAMESPACE, UNITS
from bursar.payments import FeeCatalogue, payment_rules
from bursar.payments.ledger.table import TABLE_NAME, table_definition
from bursar.portal.api.endpoints import PAYMENT_ENDPOINTS
from bursar.portal.api.overview_endpoints import overview_endpoints
from bursar.portal.webhooks.queue import iam_policy as queue_policy
from bursar.portal.webhooks.queue import queue_definition
from bursar.rules.transactions.iam_policy import iam_policies
from bursar.settings import SETTINGS
from tests.support.deploy.template import PARAMETERS, ROOT, Template
from tests.support.portal.fake_log import FakeLog

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"


@pytest.fixture(scope="module")
def template() -> Template:
    return Template()


@pytest.mark.parametrize(
    ("logical_name", "definition"),
    [("PaymentsTable", table_definition(TABLE_NAME)), ("WebhooksTable", queue_definition("bursar-webhooks"))],
)
def test_the_tables_are_those_that_the_code_creates(
    template: Template, logical_name: str, definition: dict[str, Any]
) -> None:
    table = template.resources("AWS::DynamoDB::Table")[logical_name]
    assert {name: table[name] for name in definition} == definition
    assert table["DeletionProtectionEnabled"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert template.document["Resources"][logical_name]["DeletionPolicy"] == "Retain"


def test_the_policies_are_those_that_the_commands_print(template: Template) -> None:
    arn = f"{ARN}bursar-payments"
    operator = "arn:aws:iam::000000000000:role/operator"
    roles = [f"arn:aws:iam::000000000000:role/{role}" for role in ("PortalRole", "SweepRole")]
    policies = template.resources("AWS::IAM::Policy")
    rules = payment_rules(FeeCatalogue.default())
    printed = iam_policies(rules, arn, tuple(roles))
    assert policies["WriterPolicy"]["PolicyDocument"] == printed["writer"]
    assert policies["WebhooksPolicy"]["PolicyDocument"] == queue_policy(f"{ARN}bursar-webhooks")
    table = template.resources("AWS::DynamoDB::Table")["PaymentsTable"]
    assert table["ResourcePolicy"]["PolicyDocument"] == printed["table"]
    with_operator = Template({**PARAMETERS, "OperatorRoleArn": operator}).resources("AWS::DynamoDB::Table")
    assert (
        with_operator["PaymentsTable"]["ResourcePolicy"]["PolicyDocument"]
        == iam_policies(rules, arn, (*roles, operator))["table"]
    )


def test_readers_have_at_most_what_the_readers_policy_allows(template: Template) -> None:
    (allowed,) = iam_policies(payment_rules(FeeCatalogue.default()), f"{ARN}bursar-payments", ("arn",))["reader"][
        "Statement"
    ]
    for role in ("LakeRole", "DashboardRole"):
        (statement,) = (each for each in template.statements(role) if each["Sid"] == "ReadAll")
        assert set(statement["Action"]) <= set(allowed["Action"])
        assert statement["Resource"] == allowed["Resource"]


def test_one_secret_may_hold_every_file(template: Template) -> None:
    one = Template({**PARAMETERS, "ClientsMember": "#clients", "FeesSecret": "arn:of:fees", "FeesMember": "#fees"})
    variables = one.resources("AWS::Serverless::Function")["Portal"]["Environment"]["Variables"]
    assert variables["BURSAR_CLIENTS"] == f"secretsmanager:{PARAMETERS['ClientsSecret']}#clients"
    assert variables["BURSAR_FEES"] == "secretsmanager:arn:of:fees#fees"
    webhooks = Template({**PARAMETERS, "WebhooksMember": "#webhooks"}).resources("AWS::Serverless::Function")["Sweep"]
    assert webhooks["Environment"]["Variables"]["BURSAR_WEBHOOKS"].endswith(":secret:webhooks#webhooks")
    (allowed,) = one.resources("AWS::IAM::Policy")["SecretsPolicy"]["PolicyDocument"]["Statement"]
    assert not any("#" in arn for arn in allowed["Resource"])


def test_the_sweeper_copies_the_daily_roots_if_there_is_a_bucket_for_them(template: Template) -> None:
    assert "AuditRootsPolicy" not in template.resources("AWS::IAM::Policy")
    copying = Template({**PARAMETERS, "AuditBucket": "roots", "Environment": "prod"})
    for name, function in copying.resources("AWS::Serverless::Function").items():
        place = function.get("Environment", {"Variables": {}})["Variables"].get("BURSAR_AUDIT_ROOTS")
        assert place == ("s3://roots/prod" if name == "Sweep" else None)
    policy = copying.resources("AWS::IAM::Policy")["AuditRootsPolicy"]
    assert policy["Roles"] == ["SweepRole"]
    assert [(each["Action"], each["Resource"]) for each in policy["PolicyDocument"]["Statement"]] == [
        (["s3:PutObject", "s3:PutObjectRetention"], "arn:aws:s3:::roots/prod/*"),
        ("s3:ListBucket", "arn:aws:s3:::roots"),
    ]


def test_an_error_of_any_function_raises_an_alarm_and_so_does_a_schedule_that_stops(template: Template) -> None:
    functions = set(template.resources("AWS::Serverless::Function"))
    shared = Template({**PARAMETERS, "OtherFunctions": "yes"})
    for its, watched in ((template, {None}), (shared, functions)):
        alarms = its.resources("AWS::CloudWatch::Alarm").values()
        failing = [each for each in alarms if each["MetricName"] == "Errors"]
        assert {each["Dimensions"][0]["Value"] if "Dimensions" in each else None for each in failing} == watched
        for each in failing:
            assert (each["Namespace"], each["Statistic"], each["Threshold"]) == ("AWS/Lambda", "Sum", 0)
            assert (each["Period"], each["EvaluationPeriods"]) == (300, 1)
        stopped = [each for each in alarms if each["TreatMissingData"] == "breaching"]
        assert [(each["MetricName"], each["Dimensions"][0]["Value"]) for each in stopped] == [
            ("Invocations", "Sweep"),
            ("Invocations", "Lake"),
        ]
        assert [each["Period"] * each["EvaluationPeriods"] for each in stopped] == [600, 10_800]


def test_an_alert_line_of_any_function_that_writes_some_raises_one_alarm(template: Template) -> None:
    filters = template.resources("AWS::Logs::MetricFilter").values()
    assert {each["LogGroupName"] for each in filters} == {"PortalLogs", "SweepLogs", "LakeLogs"}
    alarm = template.resources("AWS::CloudWatch::Alarm")["AlertAlarm"]
    for each in filters:
        assert each["FilterPattern"] == '{ $.alert = "*" }'
        assert [counted["MetricName"] for counted in each["MetricTransformations"]] == [alarm["MetricName"]]


def test_each_failure_of_the_guide_has_its_alarm(template: Template) -> None:
    guide = (ROOT / "docs" / "aws.md").read_text()
    table = guide.partition("| failure |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall("`([A-Za-z]+)`", row.split("|")[2])}
    assert {f"{name}Alarm" for name in named} == set(template.resources("AWS::CloudWatch::Alarm"))


def test_the_proofs_of_the_lake_are_whole_or_of_recent_changes(template: Template) -> None:
    schedules = template.resources("AWS::Scheduler::Schedule")
    proofs = {name: json.loads(each["Target"]["Input"]) for name, each in schedules.items() if "Verif" in name}
    assert proofs == {"RecentVerificationSchedule": {"verify": "recent"}, "VerificationSchedule": {"verify": True}}


def test_every_parameter_has_a_description(template: Template) -> None:
    guide = (ROOT / "docs" / "aws.md").read_text()
    for name, parameter in template.document["Parameters"].items():
        assert parameter.get("Description"), f"{name} has no description"
        assert f"`{name}`" in guide, f"docs/aws.md does not explain {name}"


def test_the_handlers_exist_and_their_settings_are_known(template: Template) -> None:
    shared = template.resolved(template.document["Globals"])["Function"]["Environment"]["Variables"]
    functions = template.resources("AWS::Serverless::Function")
    assert set(functions) == {"Portal", "Sweep", "Lake", "Dashboard"}
    for function in functions.values():
        module, _, name = function["Handler"].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))
        variables = {**shared, **function.get("Environment", {"Variables": {}})["Variables"]}
        assert {name.removeprefix("BURSAR_").lower() for name in variables} <= SETTINGS.keys()
    assert all(functions[name]["ReservedConcurrentExecutions"] == 1 for name in ("Sweep", "Lake"))


def test_the_routes_are_the_endpoints_and_every_route_needs_a_signature(template: Template) -> None:
    routes = template.resources("AWS::ApiGatewayV2::Route").values()
    assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}
    for target, endpoints in (
        ("integrations/PortalIntegration", PAYMENT_ENDPOINTS),
        ("integrations/DashboardIntegration", overview_endpoints(FakeLog())),
    ):
        routed = {route["RouteKey"] for route in routes if route["Target"] == target}
        assert routed == {f"{endpoint.method} {endpoint.path}" for endpoint in endpoints}


def test_every_alarm_has_a_metric_of_the_code_and_a_runbook(template: Template) -> None:
    headings = (ROOT / "docs" / "deploy.md").read_text().lower().splitlines()
    filters = template.resources("AWS::Logs::MetricFilter").values()
    counted = {each["MetricName"] for one in filters for each in one["MetricTransformations"]}
    alarms = template.resources("AWS::CloudWatch::Alarm")
    assert len(alarms) == BILLED.alarms
    for alarm in alarms.values():
        if alarm.get("Namespace") == NAMESPACE:
            assert alarm["MetricName"] in UNITS.keys() | counted
        anchor = alarm["AlarmDescription"].partition("(docs/deploy.md#")[2].rstrip(")")
        assert f"### {anchor}" in headings


def test_lifecycle_rules_expire_no_current_object_of_the_lake_and_are_those_of_the_file(template: Template) -> None:
    (bucket,) = template.resources("AWS::S3::Bucket").values()
    rules = bucket["LifecycleConfiguration"]["Rules"]
    for rule in rules:
        effects = rule.keys() - {"Id", "Status", "Prefix"}
        if rule.get("Prefix", "") == "":
            assert effects <= {
                "AbortIncompleteMultipartUpload",
                "NoncurrentVersionExpiration",
                "ExpiredObjectDeleteMarker",
            }
        else:
            assert rule["Prefix"] == "athena/"
    stored = json.loads((ROOT / "deploy" / "lake-lifecycle.json").read_text())["Rules"]
    assert [_as_in_the_template(rule) for rule in stored] == rules


def _as_in_the_template(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule of S3's API in the form of CloudFormation."""
    expiration = rule.get("Expiration", {})
    prefix = {"Prefix": rule["Filter"]["Prefix"]} if rule["Filter"]["Prefix"] else {}
    days = {"ExpirationInDays": expiration["Days"]} if "Days" in expiration else {}
    markers = {name: value for name, value in expiration.items() if name == "ExpiredObjectDeleteMarker"}
    kept = {name: value for name, value in rule.items() if name not in ("ID", "Filter", "Expiration")}
    return {"Id": rule["ID"], **kept, **prefix, **days, **markers}


def test_nothing_is_public_and_everything_is_kept_for_a_while(template: Template) -> None:
    (bucket,) = template.resources("AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket
    logs = template.resources("AWS::Logs::LogGroup").values()
    assert {group["RetentionInDays"] for group in logs} == {365}
    (workgroup,) = template.resources("AWS::Athena::WorkGroup").values()
    assert workgroup["WorkGroupConfiguration"]["EnforceWorkGroupConfiguration"]
    assert workgroup["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] == 10 * 1024**3
