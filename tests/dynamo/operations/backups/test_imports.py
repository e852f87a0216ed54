"""ImportTable, DescribeImport, ListImports: formats, bad lines, round trips with exports."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import Engine
from bursar.dynamo.buckets.buckets import FolderBuckets
from bursar.dynamo.operations.backups import transfer_requests
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.dynamo.past import TABLE, held, indexed_table, with_past
from tests.support.dynamo.stream_readers import START, HandClock, opened
from tests.support.dynamo.tables import item, put, refusal
from tests.support.dynamo.value_strategies import items as any_items
from tests.support.hypothesis_profiles import examples

IMPORT = "ImportTable"
FAILED_ITEMS = (
    "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
    "details. "
)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "s3" / "files"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def stocked(bucket: Path) -> Engine:
    """Return an engine with a bucket."""
    engine = opened(HandClock())
    engine.set_buckets(FolderBuckets(bucket.parent))
    return engine


def request_of(prefix: str = "", form: str = "DYNAMODB_JSON", name: str = TABLE, **members: Any) -> dict[str, Any]:
    parameters = {name: part for name, part in indexed_table(name).items() if name != "StreamSpecification"}
    return {
        "S3BucketSource": {"S3Bucket": "files", **({"S3KeyPrefix": prefix} if prefix else {})},
        "InputFormat": form,
        "TableCreationParameters": parameters,
        **members,
    }


def imported(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Import and return the description of the finished import."""
    answer = engine.execute(IMPORT, request)["ImportTableDescription"]
    assert answer["ImportStatus"] == "IN_PROGRESS"
    described: dict[str, Any] = engine.execute("DescribeImport", {"ImportArn": answer["ImportArn"]})[
        "ImportTableDescription"
    ]
    assert {**described, "ImportStatus": "IN_PROGRESS"}.items() >= answer.items()
    return described


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"Item": one}).encode() + b"\n" for one in items)


def counts(description: dict[str, Any]) -> tuple[int, int, int]:
    return tuple(description[f"{name}Count"] for name in ("ProcessedItem", "ImportedItem", "Error"))


# Formats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compression", "packed"),
    [
        ("NONE", lambda content: content),
        ("GZIP", gzip.compress),
        ("ZSTD", lambda content: zstandard.ZstdCompressor().compress(content)),
    ],
)
def test_dynamodb_json_is_read(stocked: Engine, bucket: Path, compression: str, packed: Any) -> None:
    one, two = item(pk="a", sk="1", n=1, state="x"), item(pk="b", sk="1", tags={"SS": ["x"]})
    (bucket / "p").mkdir()
    (bucket / "p" / "1.json").write_bytes(packed(lines(one) + b"\n" + lines(two)))
    done = imported(stocked, request_of("p/", InputCompressionType=compression))
    assert (done["ImportStatus"], counts(done)) == ("COMPLETED", (2, 2, 0))
    assert held(stocked) == {("a", "1"): one, ("b", "1"): two}
    assert set(held(stocked, TABLE, "by-state")) == {("a", "1")}
    described = stocked.execute("DescribeTable", {"TableName": TABLE})["Table"]
    assert (described["ItemCount"], described["TableId"]) == (2, done["TableId"])


def test_csv_is_read_with_the_types_of_the_keys(stocked: Engine, bucket: Path) -> None:
    text = 'pk,sk,n,note\r\na,1,5,"two\nlines, and ""quotes"""\r\nb,1,,plain\r\n'
    (bucket / "one.csv").write_text(text, newline="")
    done = imported(stocked, request_of(form="CSV"))
    assert counts(done) == (2, 2, 0)
    assert "InputFormatOptions" not in done
    assert held(stocked) == {
        ("a", "1"): item(pk="a", sk="1", n=5, note='two\nlines, and "quotes"'),
        ("b", "1"): item(pk="b", sk="1", note="plain"),
    }


def test_csv_may_have_another_delimiter_and_a_given_header(stocked: Engine, bucket: Path) -> None:
    (bucket / "one.csv").write_text("a;1\n")
    (bucket / "two.csv").write_text("b;1\n")
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["pk", "sk"]}}
    done = imported(stocked, request_of(form="CSV", InputFormatOptions=options))
    assert done["InputFormatOptions"] == options
    assert set(held(stocked)) == {("a", "1"), ("b", "1")}


def test_a_prefix_is_the_beginning_of_keys_not_a_folder(stocked: Engine, bucket: Path) -> None:
    for key, pk in (("data/1.json", "a"), ("data2/1.json", "b"), ("other.json", "c")):
        (bucket / key).parent.mkdir(exist_ok=True)
        (bucket / key).write_bytes(lines(item(pk=pk, sk="1")))
    assert imported(stocked, request_of("data"))["ImportedItemCount"] == 2
    assert imported(stocked, request_of("data/1.json", name="single"))["ImportedItemCount"] == 1
    empty = imported(stocked, request_of("absent/", name="empty"))
    assert (empty["ImportStatus"], held(stocked, "empty")) == ("COMPLETED", {})


# Bad content --------------------------------------------------------------------------------------------------


def test_an_invalid_item_is_left_out_and_the_rest_imported(stocked: Engine, bucket: Path) -> None:
    good = [item(pk="a", sk=str(number)) for number in range(9)]
    (bucket / "1.json").write_bytes(lines(*good[:3], {"pk": {"S": "no sort key"}}, *good[3:]))
    done = imported(stocked, request_of())
    assert (done["ImportStatus"], done["FailureCode"], counts(done)) == ("FAILED", "ItemValidationError", (10, 9, 1))
    assert done["FailureMessage"] == (
        FAILED_ITEMS + "1.json: One or more parameter values were invalid: Missing the key sk in the item"
    )
    assert len(held(stocked)) == 9


def test_a_line_that_cannot_be_parsed_ends_its_object(stocked: Engine, bucket: Path) -> None:
    (bucket / "1.json").write_bytes(lines(item(pk="a", sk="1")) + b"{oops\n" + lines(item(pk="a", sk="2")))
    (bucket / "2.json").write_bytes(lines(item(pk="b", sk="1")))
    done = imported(stocked, request_of())
    assert counts(done) == (3, 2, 1)
    assert "1.json: line 2: must be JSON" in done["FailureMessage"]
    assert set(held(stocked)) == {("a", "1"), ("b", "1")}


@pytest.mark.parametrize(
    ("form", "content", "problem"),
    [
        ("DYNAMODB_JSON", b'{"item": {}}\n', '1: line 1: must be {"Item": {…}}'),
        ("DYNAMODB_JSON", b"[" * 100_000, "1: line 1: must be JSON"),
        ("CSV", b"pk,sk\na\n", "1: line 2: must have 2 fields; got 1"),
        ("CSV", b'pk,sk\na,"1"x\n', "1: line 2: must be CSV"),
        ("CSV", b"pk,sk\n\xff,1\n", "1: after line 0: must be UTF-8"),
    ],
)
def test_the_first_errors_are_shown(stocked: Engine, bucket: Path, form: str, content: bytes, problem: str) -> None:
    (bucket / "1").write_bytes(content)
    done = imported(stocked, request_of(form=form))
    assert counts(done) == (1, 0, 1)
    assert done["FailureMessage"].startswith(FAILED_ITEMS + problem)


@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_damaged_compression_is_an_error_of_the_object(stocked: Engine, bucket: Path, compression: str) -> None:
    whole = gzip.compress(lines(item(pk="a", sk="1")) * 1000)
    (bucket / "1").write_bytes(b"plain")
    (bucket / "2").write_bytes(whole[: len(whole) // 2])
    done = imported(stocked, request_of(InputCompressionType=compression))
    assert (done["FailureCode"], done["ErrorCount"]) == ("ItemValidationError", 2)


def test_a_missing_bucket_fails_the_import_and_makes_no_table(stocked: Engine) -> None:
    done = imported(stocked, {**request_of(), "S3BucketSource": {"S3Bucket": "absent"}})
    assert (done["ImportStatus"], done["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert stocked.execute("ListTables", {}) == {"TableNames": []}


# Round trips --------------------------------------------------------------------------------------------------


@examples(40)
@given(bodies=st.lists(any_items, max_size=5), form=st.sampled_from(["DYNAMODB_JSON", "ION"]))
def test_what_is_exported_can_be_imported(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[dict[str, Any]], form: str
) -> None:
    root = tmp_path_factory.mktemp("s3")
    (root / "files").mkdir()
    clock = HandClock()
    engine = with_past(clock)
    engine.set_buckets(FolderBuckets(root))
    taken = {"pk", "sk", "state", "n"}
    for number, body in enumerate(bodies):
        put(
            engine,
            TABLE,
            {name: value for name, value in body.items() if name not in taken} | item(pk="a", sk=str(number)),
        )
    clock.now += 1
    put(engine, TABLE, item(pk="late", sk="1"))
    asked = {"TableArn": TABLE_ARN + TABLE, "S3Bucket": "files", "ExportTime": START, "ExportFormat": form}
    export = engine.execute("ExportTableToPointInTime", asked)["ExportDescription"]
    prefix = f"AWSDynamoDB/{export['ExportArn'].rpartition('/')[2]}/data/"
    done = imported(engine, request_of(prefix, form, name="copy", InputCompressionType="GZIP"))
    assert done["ImportStatus"] == "COMPLETED"
    copied = held(engine, "copy")
    put(engine, "copy", item(pk="late", sk="1"))
    assert held(engine, "copy") == held(engine, TABLE)
    assert len(copied) == len(bodies)
    engine.close()


def test_an_imported_store_is_sound(tmp_path: Path, bucket: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = opened(HandClock(), path)
    engine.set_buckets(FolderBuckets(bucket.parent))
    twice = [item(pk="a", sk="1", n=1, state="x"), item(pk="a", sk="1", n=2, state="y"), item(pk="b", sk="1")]
    (bucket / "1.json").write_bytes(lines(*twice))
    assert counts(imported(engine, request_of())) == (3, 3, 0)
    assert held(engine)["a", "1"]["state"] == {"S": "y"}
    engine.close()
    assert check_store(path) == []


# Requests -----------------------------------------------------------------------------------------------------


def test_defaults_are_described(stocked: Engine) -> None:
    done = imported(stocked, request_of("p/"))
    assert done["S3BucketSource"] == {"S3BucketOwner": "000000000000", "S3Bucket": "files", "S3KeyPrefix": "p/"}
    assert (done["InputCompressionType"], done["InputFormat"]) == ("NONE", "DYNAMODB_JSON")
    assert done["ClientToken"]
    assert done["TableCreationParameters"] == request_of()["TableCreationParameters"]


def test_a_client_token_makes_a_request_once(stocked: Engine) -> None:
    first = imported(stocked, request_of(ClientToken="one"))
    assert stocked.execute(IMPORT, request_of(ClientToken="one"))["ImportTableDescription"] == first
    message = refusal(stocked, IMPORT, request_of(name="other", ClientToken="one"), "ImportConflictException")
    assert message == "Import conflict: Duplicate request detected with conflicting parameters"
    assert refusal(stocked, IMPORT, request_of(), "ResourceInUseException") == "Table already exists: orders"


def test_imports_are_listed_also_after_their_table(stocked: Engine) -> None:
    first = imported(stocked, request_of())
    imported(stocked, request_of(name="other"))
    stocked.execute("DeleteTable", {"TableName": TABLE})
    members = ("ImportArn", "ImportStatus", "TableArn", "S3BucketSource", "InputFormat", "StartTime", "EndTime")
    assert stocked.execute("ListImports", {"TableArn": TABLE_ARN + TABLE}) == {
        "ImportSummaryList": [{member: first[member] for member in members}]
    }
    page = stocked.execute("ListImports", {"PageSize": 1})
    assert len(stocked.execute("ListImports", {"NextToken": page["NextToken"]})["ImportSummaryList"]) == 1


CSV_OPTIONS = {"Csv": {"Delimiter": ","}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"InputFormatOptions": CSV_OPTIONS},
            "Invalid Request: Unsupported InputFormatOptions for the given input format: DYNAMODB_JSON.",
        ),
        (
            {"InputCompressionType": "BZIP2"},
            "1 validation error detected: Value 'BZIP2' at 'inputCompressionType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ZSTD, NONE, GZIP]",
        ),
        (
            {"TableCreationParameters": {**request_of()["TableCreationParameters"], "BillingMode": "PROVISIONED"}},
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be "
            "specified when BillingMode is PROVISIONED",
        ),
    ],
)
def test_a_request_that_amazon_refuses(stocked: Engine, changes: dict[str, Any], message: str) -> None:
    assert refusal(stocked, IMPORT, {**request_of(), **changes}) == message
    assert stocked.execute("ListTables", {}) == {"TableNames": []}


def test_an_import_needs_buckets(engine: Engine) -> None:
    message = refusal(engine, IMPORT, request_of())
    assert message == "S3 is not available in this engine: start it with --s3-folder or --s3-endpoint"


def test_an_absent_import_is_reported(stocked: Engine) -> None:
    arn = f"{TABLE_ARN}orders/import/0"
    message = refusal(stocked, "DescribeImport", {"ImportArn": arn}, "ImportNotFoundException")
    assert message == f"Import not found: Import not found: {arn}"
    assert refusal(stocked, "DescribeImport", {"ImportArn": TABLE_ARN + TABLE}) == "Invalid Import ARN"


def test_ion_needs_its_package(stocked: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_requests, "find_spec", lambda _name: None)
    assert refusal(stocked, IMPORT, {**request_of(), "InputFormat": "ION"}) == (
        "Invalid Request: InputFormat ION needs the package amazon.ion in this engine: pip install 'bursar[ion]'"
    )
    assert stocked.execute("ListTables", {}) == {"TableNames": []}


def test_a_bad_line_of_ion_ends_its_object(stocked: Engine, bucket: Path) -> None:
    good = '{Item:{pk:"a",sk:"1"}}\n'
    (bucket / "items.ion").write_text(f"{good}{{Item:{{pk:word}}}}\n{good}")
    done = imported(stocked, request_of("items", "ION"))
    assert (done["ImportStatus"], counts(done)) == ("FAILED", (2, 1, 1))
    assert "items.ion: line 2: must have strings, bools, decimals" in done["FailureMessage"]
