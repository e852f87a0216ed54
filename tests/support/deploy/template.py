"""The template of deploy/, with its references resolved as CloudFormation would for a stack of these tests."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from bursar.dynamo.regions import ACCOUNT

ROOT: Final = Path(__file__).parents[3]
TEMPLATE: Final = ROOT / "deploy" / "template.yaml"
REGION: Final = "us-east-1"
PARAMETERS: Final = {
    "PaygovUrl": "https://paygov.example/tcs",
    "PaymentUrl": "https://paygov.example/pay",
    "PaygovSecret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:paygov",
    "ClientsSecret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:clients",
    "WebhooksSecret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:webhooks",
}
_NO_VALUE: Final = object()
_PSEUDO: Final = {
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": _NO_VALUE,
}
_ARN_SERVICES: Final = {
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{name}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
}
_ARN: Final = f"arn:aws:{{service}}:{REGION}:{ACCOUNT}:{{name}}"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: ``!Ref X`` is ``{"Ref": "X"}``."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".") if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)


class Template:
    """A stack's template with the values of its parameters."""

    def __init__(self, parameters: Mapping[str, str] = PARAMETERS) -> None:
        self.document: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
        defaults = {name: each.get("Default") for name, each in self.document["Parameters"].items()}
        self._parameters = {**defaults, **parameters}

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resolved properties of each resource of a type, by its logical name."""
        return {
            name: self.resolved(each["Properties"])
            for name, each in self.document["Resources"].items()
            if each["Type"] == kind and ("Condition" not in each or self._holds(each["Condition"]))
        }

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the statements of every policy that is attached to a role, by its logical name."""
        found = []
        for policy in self.resources("AWS::IAM::Policy").values():
            if role in policy["Roles"]:
                found += policy["PolicyDocument"]["Statement"]
        return found

    def resolved(self, value: Any) -> Any:
        """Return ``value`` with every reference replaced."""
        if isinstance(value, list):
            items = [self.resolved(each) for each in value]
            return [each for each in items if each is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::GetAtt":
                return self._attribute(*argument)
            if name == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(self._named(found[1])), argument)
            if name == "Fn::If":
                condition, yes, no = argument
                return self.resolved(yes if self._holds(condition) else no)
        resolved = {name: self.resolved(each) for name, each in value.items()}
        return {name: each for name, each in resolved.items() if each is not _NO_VALUE}

    def _holds(self, condition: str) -> bool:
        (negated,) = self.document["Conditions"][condition]["Fn::Not"]
        left, right = negated["Fn::Equals"]
        return bool(self.resolved(left) != right)

    def _named(self, name: str) -> Any:
        return self._attribute(*name.split(".")) if "." in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        if name in _PSEUDO:
            return _PSEUDO[name]
        return self._parameters.get(name, name)

    def _attribute(self, name: str, attribute: str) -> Any:
        resource = self.document["Resources"][name]
        if attribute != "Arn":
            return f"{name}.{attribute}"
        if resource["Type"] == "AWS::DynamoDB::Table":
            return _ARN.format(service="dynamodb", name=f"table/{self.resolved(resource['Properties']['TableName'])}")
        service = resource["Type"].split("::")[1].lower()
        return _ARN_SERVICES.get(resource["Type"], _ARN).format(service=service, name=name)
