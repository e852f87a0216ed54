"""A new instance of the portal's function loads few modules, and draws its ids and keys after a restore."""

import ast
import os
import subprocess
import sys

NOT_LOADED = (
    "aiohttp",
    "apsw",
    "boto3",
    "botocore",
    "bursar.dynamo.engine",
    "bursar.dynamo.operations",
    "bursar.payments.ledger.erasure",
    "bursar.payments.ledger.imports",
    "bursar.payments.ledger.store_records.reconciliations",
    "bursar.portal.api.openapi",
    "bursar.portal.metrics.metrics",
    "bursar.portal.upkeep.sweep",
    "bursar.reports.reports",
    "click",
    "difflib",
    "duckdb",
    "jinja2",
    "prometheus_client",
    "pyarrow",
    "pyiceberg",
    "rich",
    "sqlite3",
    "starlette",
    "urllib3",
    "uvicorn",
    "uvloop",
)
COLLECTIONS_MAX = 10
"""Runs of the garbage collector while the modules are loaded. With Python's default there are some seventy."""
FIRST_ANSWER = f"""
import gc, sys
before = sum(each["collections"] for each in gc.get_stats())
from bursar.bootstrap.lambda_functions.portal import handler
made_in_init = handler.instance._made is not None
collections = sum(each["collections"] for each in gc.get_stats()) - before
event = {{
    "version": "2.0", "rawPath": "/details/0b5c6f6e-0000-4000-8000-000000000001", "rawQueryString": "", "headers": {{}},
    "requestContext": {{
        "http": {{"method": "GET"}}, "stage": "$default", "requestId": "r-1",
        "authorizer": {{"iam": {{"userArn": "arn:aws:sts::123456789012:assumed-role/dawson/session-1"}}}},
    }},
}}
print(made_in_init, handler(event, None)["statusCode"], [name for name in {NOT_LOADED} if name in sys.modules])
print(collections)
"""
TWO_RESTORES = """
import os
from bursar.bootstrap.lambda_functions.portal import handler

async def drawn(application):
    portal = application.portal
    portal.renew_name()
    return portal.new_lease_owner(), portal.randomness.getrandbits(128), portal.ledger._ruled._randomness.random()

for _ in range(2):  # each child continues from the same memory, as an instance that Lambda restores from a snapshot
    if os.fork() == 0:
        print(handler.instance.run(drawn), flush=True)
        os._exit(0)
    os.wait()
"""


def output_of(program: str) -> str:
    environment = {
        **os.environ,
        "AWS_LAMBDA_FUNCTION_NAME": "portal",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    return subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)


def test_the_parts_are_made_in_init_and_the_first_answer_loads_nothing_heavy() -> None:
    answer, collections = output_of(FIRST_ANSWER).splitlines()
    assert answer == "True 404 []"
    assert int(collections) < COLLECTIONS_MAX


def test_two_instances_restored_from_one_snapshot_draw_different_ids_and_keys() -> None:
    first, second = output_of(TWO_RESTORES).splitlines()
    ours, theirs = ast.literal_eval(first), ast.literal_eval(second)
    assert all(one != other for one, other in zip(ours, theirs, strict=True)), (ours, theirs)
