"""DynamoDB in a file: its API on one SQLite file, in this process or over HTTP, durable. Knows nothing about payments.

    errors ◄─ items ◄─ storage, expressions ◄─ core, partiql ◄─ operations ◄─ engine
    engine ◄─ weather ◄─ server ◄─ clients, tools ◄─ console

``Engine`` is synchronous, ``AsyncEngine`` lets concurrent writes share a commit, and ``Store`` is the port through
which the rooms above call this DynamoDB or another one (``open_store``).

A name is imported when it is first used, so a process with a store on the network does not load the engine.
"""

from typing import TYPE_CHECKING

from bursar.lazy_names import lazy_names

if TYPE_CHECKING:
    from bursar.dynamo.clients.boto3_in_process import boto3_client, boto3_resource, boto3_streams_client
    from bursar.dynamo.clients.store import Store, open_store
    from bursar.dynamo.core.guards import Change, Guard, GuardLoader, GuardView, Refusal, TableCheck
    from bursar.dynamo.engine.engine import Engine, RulesRefused
    from bursar.dynamo.engine.group_commit import AsyncEngine
    from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
    from bursar.dynamo.storage.sqlite_file import StoreFormatError

__all__ = [
    "AsyncEngine",
    "Change",
    "DynamoError",
    "Engine",
    "Guard",
    "GuardLoader",
    "GuardView",
    "Refusal",
    "RulesRefused",
    "Store",
    "StoreFormatError",
    "StoreOutcomeUnknown",
    "StoreUnreachable",
    "TableCheck",
    "boto3_client",
    "boto3_resource",
    "boto3_streams_client",
    "open_store",
]

__getattr__ = lazy_names(
    __name__,
    {
        "AsyncEngine": "engine.group_commit",
        "Change": "core.guards",
        "DynamoError": "errors",
        "Engine": "engine.engine",
        "Guard": "core.guards",
        "GuardLoader": "core.guards",
        "GuardView": "core.guards",
        "Refusal": "core.guards",
        "RulesRefused": "engine.engine",
        "Store": "clients.store",
        "StoreFormatError": "storage.sqlite_file",
        "StoreOutcomeUnknown": "errors",
        "StoreUnreachable": "errors",
        "TableCheck": "core.guards",
        "boto3_client": "clients.boto3_in_process",
        "boto3_resource": "clients.boto3_in_process",
        "boto3_streams_client": "clients.boto3_in_process",
        "open_store": "clients.store",
    },
)
