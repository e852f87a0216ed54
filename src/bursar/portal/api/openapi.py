"""Generate OpenAPI 3.1 and the page /docs from the endpoints, and from the schemas that requests are validated against.

Every endpoint that is served is documented.
"""

import html
import json
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from bursar import __version__
from bursar.portal.api.endpoints import Endpoint, EndpointParameter
from bursar.portal.contract.messages import Call, Reply, json_reply
from bursar.portal.contract.schemas import COMPONENTS, Schema
from bursar.portal.use_cases.portal import Portal

DESCRIPTION: Final = (
    "Collects fees through Pay.gov. Call `init`, send the payer to `paymentRedirect`, call `process` when the payer is "
    "back, and ask `details` until the payment is `success` or `failed`. Every error has one shape."
)
ERROR_MEANINGS: Final[dict[int, str]] = {
    400: "The request cannot be read, or breaks its schema; `errors` lists every problem",
    403: "Not signed, not registered, or not allowed this fee",
    404: "No such payment of this client",
    408: "The body did not arrive in time",
    409: "Another call or attempt is under way: retry with backoff, or ask details",
    410: "This token can never be processed again",
    413: "The body is larger than 64 KiB",
    429: "Over this client's rate or concurrency; see Retry-After",
    431: "The request line and the headers are larger than 64 KiB, or more than 100 headers",
    500: "An error inside the portal",
    502: "Pay.gov's answer decides nothing",
    503: "The payment store is not available; see Retry-After",
    504: "Pay.gov could not be reached, or its answer was lost",
}
EVERY_ENDPOINT: Final = (408, 413, 431, 500, 503)
EVERY_CLIENT: Final = (403, 429)


def openapi(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI document of ``endpoints``."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bursar", "version": __version__, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4, service execute-api",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def documentation_endpoints(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return ``/openapi.json`` and ``/docs``, which document ``endpoints`` and themselves."""

    @cache  # generated once, at the first request
    def rendered() -> tuple[Reply, Reply]:
        document = openapi(every)
        return json_reply(document), Reply(200, docs_page(document).encode(), "text/html; charset=utf-8", _PAGE_HEADERS)

    async def _openapi(portal: Portal, call: Call) -> Reply:
        return rendered()[0]

    async def _docs(portal: Portal, call: Call) -> Reply:
        return rendered()[1]

    own = (
        Endpoint("GET", "/openapi.json", "getOpenapi", "This document", _openapi, {200: "Any"}, authenticated=False),
        Endpoint(
            "GET",
            "/docs",
            "getDocs",
            "The documentation as a page",
            _docs,
            {200: "Any"},
            authenticated=False,
            content_type="text/html",
        ),
    )
    every = (*endpoints, *own)
    return own


def docs_page(document: dict[str, Any]) -> str:
    """Return the document as one HTML page that loads nothing."""
    sections = [
        _section(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = "".join(
        f"<details id='{html.escape(name)}'><summary>{html.escape(name)}</summary>"
        f"<pre>{html.escape(json.dumps(schema, indent=2, default=str))}</pre></details>"
        for name, schema in document["components"]["schemas"].items()
    )
    info = document["info"]
    return _PAGE.format(
        title=html.escape(f"{info['title']} {info['version']}"),
        description=html.escape(info["description"]),
        sections="".join(sections),
        schemas=schemas,
    )


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "responses": {str(status): _success(endpoint, name) for status, name in endpoint.replies.items()},
    }
    errors = {*endpoint.errors, *EVERY_ENDPOINT, *(EVERY_CLIENT if endpoint.authenticated else ())}
    for status in sorted(errors - set(endpoint.replies)):
        operation["responses"][str(status)] = _reply(ERROR_MEANINGS[status], _reference("Error"), "application/json")
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    if endpoint.request:
        body = {"application/json": {"schema": _reference(endpoint.request)}}
        operation["requestBody"] = {"required": True, "content": body}
    if endpoint.authenticated:
        operation["security"] = [{"sigv4": []}]
    return operation


def _success(endpoint: Endpoint, name: str) -> dict[str, Any]:
    return _reply(endpoint.summary, _reference(name) if name in COMPONENTS else {}, endpoint.content_type)


def _reply(description: str, schema: Schema, content_type: str) -> dict[str, Any]:
    return {"description": description, "content": {content_type: {"schema": schema}}}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(parameter: EndpointParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{html.escape(p['name'])}</code></td><td>{html.escape(p['description'])}</td></tr>"
        for p in operation.get("parameters", [])
    )
    body = operation.get("requestBody", {}).get("content", {})
    schemas = [content["schema"].get("$ref", "").rpartition("/")[2] for content in body.values()]
    request = "".join(f"<p>Request: <a href='#{name}'>{name}</a></p>" for name in schemas)
    replies = "".join(
        f"<tr><td><code>{status}</code></td><td>{html.escape(reply['description'])}</td></tr>"
        for status, reply in operation["responses"].items()
    )
    return (
        f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
        f"<p><b>{html.escape(operation['summary'])}</b></p><p>{html.escape(operation.get('description', ''))}</p>"
        f"{request}<table>{parameters}</table><table>{replies}</table></section>"
    )


_PAGE_HEADERS: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
section {{ border-top: 1px solid #8888; }} td {{ padding: .1rem 1rem .1rem 0; vertical-align: top; }}
pre {{ overflow-x: auto; background: #8881; padding: 1rem; }} :root {{ color-scheme: light dark; }}
</style></head>
<body><h1>{title}</h1><p>{description}</p><p><a href="openapi.json">openapi.json</a></p>
{sections}<h2>Schemas</h2>{schemas}</body></html>
"""
