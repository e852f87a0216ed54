"""Tags: added, replaced, removed, listed, and rejected."""

from collections.abc import Sequence

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import refusal, table

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/orders"


@pytest.fixture(autouse=True)
def orders(engine: Engine) -> None:
    engine.execute("CreateTable", table())


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def numbered(numbers: Sequence[int]) -> list[dict[str, str]]:
    return [{"Key": f"k{number:02}", "Value": ""} for number in numbers]


def tags(engine: Engine) -> list[dict[str, str]]:
    response = engine.execute("ListTagsOfResource", {"ResourceArn": ARN})
    assert response.keys() == {"Tags"}
    listed: list[dict[str, str]] = response["Tags"]
    return listed


def test_a_tag_is_added_replaced_and_removed(engine: Engine) -> None:
    engine.execute("TagResource", {"ResourceArn": ARN, "Tags": pairs(env="test", team="платформа")})
    engine.execute("TagResource", {"ResourceArn": ARN, "Tags": pairs(env="")})
    assert tags(engine) == pairs(env="", team="платформа")
    engine.execute("UntagResource", {"ResourceArn": ARN, "TagKeys": ["env", "never there"]})
    assert tags(engine) == pairs(team="платформа")


def test_tags_given_at_creation_are_listed(engine: Engine) -> None:
    engine.execute("CreateTable", {**table("tagged"), "Tags": pairs(a="1")})
    listed = engine.execute("ListTagsOfResource", {"ResourceArn": ARN.replace("orders", "tagged")})
    assert listed == {"Tags": pairs(a="1")}
    bad = {**table("other"), "Tags": pairs(a="1") * 2}
    assert "Duplicate Tag Key found a" in refusal(engine, "CreateTable", bad)


def test_fifty_tags_and_no_more(engine: Engine) -> None:
    engine.execute("TagResource", {"ResourceArn": ARN, "Tags": numbered(range(50))})
    assert tags(engine) == numbered(range(50))
    too_many = "Number of Tags exceed the current limit for the provided ResourceArn"
    assert refusal(engine, "TagResource", {"ResourceArn": ARN, "Tags": pairs(one="more")}) == too_many
    assert refusal(engine, "TagResource", {"ResourceArn": ARN, "Tags": numbered(range(51))}) == too_many
    engine.execute("TagResource", {"ResourceArn": ARN, "Tags": pairs(k00="replaced")})


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (("aws:x", ""), "Tag Key cannot be prefixed with aws:, Key: aws:x"),
        (("AWS:x", ""), "Tag Key cannot be prefixed with aws:, Key: AWS:x"),
        (("a#b", ""), "The Tag Key provided is invalid, Key: a#b"),
        (("a", "100%"), "The Tag Value provided is invalid, Value: 100%"),
    ],
)
def test_amazons_characters_and_prefix(engine: Engine, tag: tuple[str, str], message: str) -> None:
    request = {"ResourceArn": ARN, "Tags": [{"Key": tag[0], "Value": tag[1]}]}
    assert refusal(engine, "TagResource", request) == message


def test_every_sign_that_amazon_takes(engine: Engine) -> None:
    engine.execute("TagResource", {"ResourceArn": ARN, "Tags": [{"Key": " a+b-c=d", "Value": "e.f_g:h/i@j 表"}]})


def test_nothing_to_do_is_refused(engine: Engine) -> None:
    request = {"ResourceArn": ARN, "Tags": []}
    assert refusal(engine, "TagResource", request) == "Atleast one Tag needs to be provided as Input."
    request = {"ResourceArn": ARN, "TagKeys": []}
    assert refusal(engine, "UntagResource", request) == "Atleast one Tag Key needs to be provided as Input."
    assert "cannot be prefixed" in refusal(engine, "UntagResource", {"ResourceArn": ARN, "TagKeys": ["aws:x"]})
    assert refusal(engine, "ListTagsOfResource", {"ResourceArn": ARN, "NextToken": "é"}) == "Invalid NextToken"


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        ("orders", "ValidationException", "ARNs must start with 'arn:': orders"),
        ("arn:aws:s3:::bucket", "ValidationException", "Provided Arn is not a DynamoDB resource arn"),
        (ARN + "/backup/01", "ValidationException", "Provided Arn is not a DynamoDB resource arn"),
        (ARN + "/index/by", "ValidationException", "only table or stream is accepted"),
        (ARN.replace("us-east-1", "eu-west-1"), "ValidationException", "Invalid ResourceArn provided as input"),
        (ARN.replace("000000000000", "123456789012"), "AccessDeniedException", "is not authorized to perform"),
        (ARN + "x", "ResourceNotFoundException", f"Requested resource not found: ResourceArn: {ARN}x not found"),
    ],
)
def test_other_resources_are_refused(engine: Engine, arn: str, code: str, message: str) -> None:
    assert message in refusal(engine, "TagResource", {"ResourceArn": arn, "Tags": pairs(a="1")}, code)
    assert message in refusal(engine, "UntagResource", {"ResourceArn": arn, "TagKeys": ["a"]}, code)


def test_listing_the_tags_of_a_missing_table_is_denied(engine: Engine) -> None:
    denied = refusal(engine, "ListTagsOfResource", {"ResourceArn": ARN + "x"}, "AccessDeniedException")
    assert "dynamodb:ListTagsOfResource" in denied
