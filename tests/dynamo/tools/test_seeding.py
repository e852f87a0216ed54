"""Tables and items from dumps, CSV, models of NoSQL Workbench, templates of CloudFormation and SAM."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.tools.seeding import SeedError, seed

TABLE: dict[str, Any] = {
    "TableName": "orders",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
DUMP = b'{"CreateTable": %s}\n{"Item": {"pk": {"S": "a"}, "sk": {"N": "1"}}}\n' % json.dumps(TABLE).encode()
TYPED = {"M": {"on": True, "none": None, "at": {"x": 5, "list": [{"S": "a"}, "b"]}, "typed": {"L": [{"N": "1.5"}]}}}
MODEL = {
    "ModelName": "shop",
    "DataModel": [
        {
            "TableName": "Customer",
            "KeyAttributes": {
                "PartitionKey": {"AttributeName": "id", "AttributeType": "S"},
                "SortKey": {"AttributeName": "at", "AttributeType": "N"},
            },
            "NonKeyAttributes": [
                {"AttributeName": "town", "AttributeType": "S"},
                {"AttributeName": "note", "AttributeType": "S"},
            ],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-town",
                    "KeyAttributes": {"PartitionKey": {"AttributeName": "town", "AttributeType": "S"}},
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            "TableData": [{"id": {"S": "1"}, "at": {"N": "5"}, "town": {"S": "Rome"}}],
            "TableFacets": [
                {"FacetName": "Orders", "TableData": [{"id": {"S": "1"}, "at": {"N": "6"}, "note": TYPED}]},
                {"FacetName": "Empty"},
            ],
            "BillingMode": "PROVISIONED",
            "ProvisionedCapacitySettings": {
                "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
            },
        }
    ],
}
TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
  Size: {Type: Number, Default: 6}
Mappings:
  Periods: {dev: {days: 7}}
Conditions:
  IsProduction: !Equals [!Ref Stage, prod]
  IsSmall: !And [!Not [!Condition IsProduction], !Equals [!Ref Size, "6"], !Condition IsTrue]
  IsTrue: !Or [!Condition IsProduction, !Equals [true, "true"]]
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "orders-${Stage}"
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: day, AttributeType: S}]
      BillingMode: !If [IsProduction, PAY_PER_REQUEST, !Ref AWS::NoValue]
      ProvisionedThroughput: {ReadCapacityUnits: "5", WriteCapacityUnits: !Ref Size}
      Tags: [{Key: place, Value: !Sub ["in-${Where}", {Where: !Ref AWS::Region}]}, !Ref AWS::NoValue]
      StreamSpecification: !If [IsSmall, {StreamViewType: NEW_IMAGE}, {StreamViewType: KEYS_ONLY}]
      TimeToLiveSpecification: {AttributeName: !Sub "${!ends}", Enabled: true}
      PointInTimeRecoverySpecification:
        PointInTimeRecoveryEnabled: "true"
        RecoveryPeriodInDays: !FindInMap [Periods, !Ref Stage, days]
      SSESpecification: {KMSMasterKeyId: !Sub "${Key.Arn}"}
      GlobalSecondaryIndexes:
        - IndexName: by-day
          KeySchema: [{AttributeName: day, KeyType: HASH}]
          Projection: {ProjectionType: KEYS_ONLY}
          ProvisionedThroughput: {ReadCapacityUnits: "1", WriteCapacityUnits: "2"}
  Sessions:
    Type: AWS::Serverless::SimpleTable
  Production:
    Type: AWS::Serverless::SimpleTable
    Condition: IsProduction
  Everywhere:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      Replicas: [{Region: us-east-1}, {Region: eu-west-1}]
  Function:
    Type: AWS::Serverless::Function
    Properties: {Handler: !GetAtt Other.Arn}
"""


def described(engine: Engine, table: str) -> dict[str, Any]:
    answer: dict[str, Any] = engine.execute("DescribeTable", {"TableName": table})["Table"]
    return answer


def scan(engine: Engine, table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = engine.execute("Scan", {"TableName": table})["Items"]
    return items


def file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_a_dump_and_csv_after_it(engine: Engine, tmp_path: Path, packed: bool) -> None:
    csv = b"pk,sk,note\nb,2,first\nb,3,\n"
    if packed:
        paths = [
            file(tmp_path, "t.jsonl.gz", gzip.compress(DUMP)),
            file(tmp_path, "orders.csv.gz", gzip.compress(csv)),
        ]
    else:
        paths = [file(tmp_path, "t.jsonl", DUMP), file(tmp_path, "orders.csv", csv)]
    assert seed(engine.execute, paths, keep=True) == {"orders": 3}
    in_order = sorted(scan(engine, "orders"), key=lambda item: item["sk"]["N"])
    assert in_order == [
        {"pk": {"S": "a"}, "sk": {"N": "1"}},
        {"pk": {"S": "b"}, "sk": {"N": "2"}, "note": {"S": "first"}},
        {"pk": {"S": "b"}, "sk": {"N": "3"}},
    ]


def test_kept_tables_are_left_as_they_are(engine: Engine, tmp_path: Path) -> None:
    paths = [
        file(tmp_path, "t.jsonl", DUMP),
        file(tmp_path, "orders.csv", "pk,sk\nb,2\n"),
        file(tmp_path, "model.json", json.dumps(MODEL)),
    ]
    assert seed(engine.execute, paths, keep=True) == {"orders": 2, "Customer": 2}
    for item in scan(engine, "orders"):
        engine.execute("DeleteItem", {"TableName": "orders", "Key": item})
    assert seed(engine.execute, paths, keep=True) == {}
    assert scan(engine, "orders") == []
    assert seed(engine.execute, paths) == {"orders": 2, "Customer": 2}
    assert len(scan(engine, "orders")) == 2


def test_a_model_of_nosql_workbench(engine: Engine, tmp_path: Path) -> None:
    assert seed(engine.execute, [file(tmp_path, "model.json", json.dumps(MODEL))]) == {"Customer": 2}
    table = described(engine, "Customer")
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["id", "at"]
    assert {each["AttributeName"] for each in table["AttributeDefinitions"]} == {"id", "at", "town"}
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert table["GlobalSecondaryIndexes"][0]["IndexName"] == "by-town"
    (note,) = (item["note"]["M"] for item in scan(engine, "Customer") if "note" in item)
    assert note["on"] == {"BOOL": True}
    assert note["none"] == {"NULL": True}
    assert note["at"] == {"M": {"x": {"N": "5"}, "list": {"L": [{"S": "a"}, {"S": "b"}]}}}
    assert note["typed"] == {"L": [{"N": "1.5"}]}


def test_a_template_of_cloudformation_and_sam(engine: Engine, tmp_path: Path) -> None:
    made = seed(engine.execute, [file(tmp_path, "template.yaml", TEMPLATE)], region="eu-west-1")
    assert made == {"orders-dev": 0, "Sessions": 0, "Everywhere": 0}
    orders = described(engine, "orders-dev")
    assert orders["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert orders["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert orders["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["WriteCapacityUnits"] == 2
    expiry = engine.execute("DescribeTimeToLive", {"TableName": "orders-dev"})["TimeToLiveDescription"]
    assert expiry["AttributeName"] == "${ends}"
    backups = engine.execute("DescribeContinuousBackups", {"TableName": "orders-dev"})["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == 7
    tags = engine.execute("ListTagsOfResource", {"ResourceArn": orders["TableArn"]})["Tags"]
    assert tags == [{"Key": "place", "Value": "in-eu-west-1"}]
    assert described(engine, "Sessions")["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]


def test_a_list_of_create_table_requests(engine: Engine, tmp_path: Path) -> None:
    assert seed(engine.execute, [file(tmp_path, "tables.json", json.dumps([TABLE]))]) == {"orders": 0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "", "must end with .jsonl, .ndjson, .csv, .json, .yaml, .yml, .template, or one of them and .gz"),
        ("t.json", "{}", 'must have "Resources" (CloudFormation), "DataModel" (NoSQL Workbench) or "TableName"'),
        ("t.json", "{", "unexpected end of data"),
        ("t.yaml", "a: [", "must be YAML: "),
        ("t.jsonl.gz", gzip.compress(DUMP)[:-9], "the archive is damaged: "),
        ("absent.csv", "pk\na\n", "ResourceNotFoundException: "),
        ("t.json", '{"DataModel": [{"TableName": "one"}]}', "table 1: must be a table of NoSQL Workbench; KeyError"),
        ("t.json", '{"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": {"Ref": "P"}}}}}',
         'TableName: must be text, or Ref or Fn::Sub of a parameter with a default; got {"Ref":"P"}'),
        ("t.yaml", "Parameters: {P: }\n"
         'Resources: {T: {Type: "AWS::DynamoDB::Table", Properties: {TableName: !Sub "${P}"}}}',
         "T.TableName: P must be a parameter with a default"),
        ("t.json", '{"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": [1]}}}',
         "T: must be a complete AWS::DynamoDB::Table; AttributeError"),
        ("t.yaml", 'Resources: {T: {Type: "AWS::DynamoDB::Table", Properties: {TableName: !Join [",", 5]}}}',
         "T.TableName: Fn::Join must have its arguments; TypeError"),
        ("t.yaml", 'Resources: {T: {Type: "AWS::DynamoDB::Table", Condition: A}}\nConditions: {A: {Condition: A}}',
         "T: A must be a condition that the parameters' defaults decide"),
        ("t.yaml", 'Resources: {T: {Type: "AWS::DynamoDB::Table", Condition: A}}\nConditions: {A: !Equals [!Ref B, x]}',
         "T: a condition must compare texts and parameters with a default"),
        ("t.yaml", TEMPLATE.replace('"5"', "five"), "Orders: must be a complete AWS::DynamoDB::Table; ValueError"),
        ("t.jsonl", DUMP + b"[]", "line 3: must be a JSON object; got list"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_and_leaves_nothing(
    engine: Engine, tmp_path: Path, name: str, content: bytes | str, message: str
) -> None:
    good = {**TABLE, "TableName": "before", "DeletionProtectionEnabled": True}
    paths = [file(tmp_path, "good.json", json.dumps(good)), file(tmp_path, name, content)]
    with pytest.raises(SeedError) as refused:
        seed(engine.execute, paths)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{paths[1]}: ")
    assert engine.execute("ListTables", {})["TableNames"] == []


def test_lines_are_counted_beside_kept_tables(engine: Engine, tmp_path: Path) -> None:
    seed(engine.execute, [file(tmp_path, "t.jsonl", DUMP)])
    other = DUMP.replace(b"orders", b"others")
    with pytest.raises(SeedError, match=r"line 5: must be a JSON object; got list"):
        seed(engine.execute, [file(tmp_path, "u.jsonl", DUMP + other + b"[]")], keep=True)
    with pytest.raises(SeedError, match=r"line 3: must be JSON"):
        seed(engine.execute, [file(tmp_path, "v.jsonl", DUMP + b'{"CreateTable"')], keep=True)


def test_a_missing_file_is_named(engine: Engine) -> None:
    with pytest.raises(SeedError, match=r"^nowhere\.json: No such file"):
        seed(engine.execute, [Path("nowhere.json")])
