"""TagResource, UntagResource and ListTagsOfResource. The table's document stores its tags."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.operations.requests.arns import RESOURCE_ARN, access_denied, tagged_table
from bursar.dynamo.operations.requests.common_members import STRING
from bursar.dynamo.operations.requests.shapes import ListShape, Request, StringShape, StructureShape

TAGS_MAX = 50

TAGS = ListShape(StructureShape({"Key": StringShape(1, 128), "Value": StringShape(0, 256)}, ("Key", "Value")))
TAG_RESOURCE = Request({"ResourceArn": RESOURCE_ARN, "Tags": TAGS}, ("ResourceArn", "Tags"))
UNTAG_RESOURCE = Request(
    {"ResourceArn": RESOURCE_ARN, "TagKeys": ListShape(StringShape(1, 128))}, ("ResourceArn", "TagKeys")
)
LIST_TAGS_OF_RESOURCE = Request({"ResourceArn": RESOURCE_ARN, "NextToken": STRING}, ("ResourceArn",))

_ALLOWED = re.compile(r"[\w\s+\-=.:/@]*")
"""Letters and digits of any script, white space, and a few signs (IAM and STS guide, "Tagging resources")."""


def tag_resource(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Add tags to a table; a tag whose key exists gets the new value."""
    if not request["Tags"]:
        raise invalid("Atleast one Tag needs to be provided as Input.")
    table = tagged_table(core, request["ResourceArn"], "TagResource")
    check_tags(request["Tags"])
    tags = {**_tags(table.document), **{tag["Key"]: tag["Value"] for tag in request["Tags"]}}
    if len(tags) > TAGS_MAX:
        raise _too_many()
    core.change_table(table, {**table.document, "Tags": _listed(tags)})
    return {}


def untag_resource(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove tags by key; missing keys are ignored."""
    if not request["TagKeys"]:
        raise invalid("Atleast one Tag Key needs to be provided as Input.")
    table = tagged_table(core, request["ResourceArn"], "UntagResource")
    _check_keys(request["TagKeys"])
    gone = set(request["TagKeys"])
    tags = {key: value for key, value in _tags(table.document).items() if key not in gone}
    core.change_table(table, {**table.document, "Tags": _listed(tags)})
    return {}


def list_tags_of_resource(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of a table's tags. Amazon never returns a NextToken, so none can be valid."""
    arn = request["ResourceArn"]
    try:
        table = tagged_table(core, arn, "ListTagsOfResource")
    except DynamoError as error:
        if error.code != "ResourceNotFoundException":
            raise
        # Amazon answers so for a missing table of another account, and account 000000000000 belongs to no caller.
        raise access_denied("ListTagsOfResource", arn) from None
    if request.get("NextToken") is not None:
        raise invalid("Invalid NextToken")
    return {"Tags": _listed(dict(sorted(_tags(table.document).items())))}


def check_tags(tags: Iterable[Mapping[str, str]]) -> None:
    """Raise ValidationException for invalid tags, or for too many of them."""
    keys = [tag["Key"] for tag in tags]
    _check_keys(keys)
    for tag in tags:
        if _ALLOWED.fullmatch(tag["Value"]) is None:
            raise invalid(f"The Tag Value provided is invalid, Value: {tag['Value']}")
    for position, key in enumerate(keys):
        if key in keys[:position]:
            raise invalid(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}")
    if len(keys) > TAGS_MAX:
        raise _too_many()


def _check_keys(keys: Iterable[str]) -> None:
    for key in keys:
        if _ALLOWED.fullmatch(key) is None:
            raise invalid(f"The Tag Key provided is invalid, Key: {key}")
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag Key cannot be prefixed with aws:, Key: {key}")


def _too_many() -> DynamoError:
    return invalid("Number of Tags exceed the current limit for the provided ResourceArn")


def _tags(document: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in document.get("Tags", ())}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
