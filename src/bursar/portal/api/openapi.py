"""Generate OpenAPI 3.1 and the page /docs from the endpoints, and from the schemas that requests are validated against.

Every endpoint that is served is documented.
"""

import html
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from bursar import __version__
from bursar.portal.api.endpoints import Endpoint, EndpointParameter
from bursar.portal.contract.error_catalogue import (
    HEAD_TOO_LARGE,
    MISSING_PRINCIPAL,
    NOT_REGISTERED,
    NOT_SIGNED,
    NOT_THIS_MACHINE,
    REQUEST_TOO_SLOW,
    TOO_BUSY,
    TOO_LARGE,
    TOO_MANY_AT_ONCE,
    TOO_MANY_PER_SECOND,
    UNEXPECTED,
    VALIDATION_ERROR,
    ErrorCode,
)
from bursar.portal.contract.errors import Gone
from bursar.portal.contract.examples import EXAMPLES, GONE_PAYMENTS
from bursar.portal.contract.messages import Call, Reply, json_reply
from bursar.portal.contract.schemas import COMPONENTS, Schema
from bursar.portal.state.portal import Portal

DESCRIPTION: Final = (
    "Collects fees through Pay.gov. Call `init`, send the payer to `paymentRedirect`, call `process` when the payer is "
    "back, and ask `details` until the payment is `success` or `failed`. Every error has one shape and a stable `code`."
)
STATUS_MEANINGS: Final[dict[int, str]] = {
    400: "The request is malformed",
    403: "Not signed, not registered, or not allowed",
    404: "No such payment of this client",
    408: "The request is too slow",
    409: "The payment does not allow this now",
    410: "This token can never be processed again; the body has the state of the payment",
    413: "The body is too large",
    422: "The question needs more time or memory than it may",
    429: "The client sends too much; see Retry-After",
    431: "The head is too large",
    500: "An error inside the portal",
    502: "Pay.gov refused, or its answer decides nothing",
    503: "The portal is not available; see Retry-After",
    504: "Pay.gov could not be reached, or its answer was lost",
}
EVERY_ENDPOINT: Final = (REQUEST_TOO_SLOW, TOO_LARGE, HEAD_TOO_LARGE, UNEXPECTED, TOO_BUSY)
EVERY_CLIENT: Final = (
    *(NOT_REGISTERED, NOT_SIGNED, MISSING_PRINCIPAL, NOT_THIS_MACHINE, TOO_MANY_AT_ONCE, TOO_MANY_PER_SECOND),
)


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
    """Return the document as one HTML page without external files."""
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
        description=_prose(info["description"]),
        sections="".join(sections),
        schemas=schemas,
    )


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "responses": {str(status): _success(endpoint, name) for status, name in endpoint.replies.items()},
    }
    for status, codes in sorted(errors_by_status(endpoint).items()):
        operation["responses"][str(status)] = _error_reply(status, codes)
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in endpoint.parameters]
    if endpoint.request:
        body = {"schema": _reference(endpoint.request), "example": EXAMPLES[endpoint.request]}
        operation["requestBody"] = {"required": True, "content": {"application/json": body}}
    if endpoint.authenticated:
        operation["security"] = [{"sigv4": []}]
    return operation


def errors_by_status(endpoint: Endpoint) -> dict[int, list[ErrorCode]]:
    """Return every error that ``endpoint`` may answer, by HTTP status."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in (*endpoint.errors, *(EVERY_CLIENT if endpoint.authenticated else ()), *EVERY_ENDPOINT):
        for status in code.statuses:
            if status not in endpoint.replies:
                by_status.setdefault(status, []).append(code)
    return by_status


def _success(endpoint: Endpoint, name: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _reference(name) if name in COMPONENTS else {}}
    if name in EXAMPLES:
        content["example"] = EXAMPLES[name]
    others = {each: {"schema": {"type": "string"}} if _is_text(each) else {} for each in endpoint.other_types}
    return {"description": endpoint.summary, "content": {endpoint.content_type: content, **others}}


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type == "application/jsonl"


def _error_reply(status: int, codes: Iterable[ErrorCode]) -> dict[str, Any]:
    shape = "Gone" if status == Gone.status else "Error"
    examples = {
        each.code: {"summary": each.meaning, "description": each.action, "value": _error_example(status, each)}
        for each in codes
    }
    code = {"type": "object", "properties": {"code": {"type": "string", "enum": list(examples)}}}
    content = {"schema": {"allOf": [_reference(shape), code]}, "examples": examples}
    return {"description": STATUS_MEANINGS[status], "content": {"application/json": content}}


def _error_example(status: int, code: ErrorCode) -> dict[str, Any]:
    body: dict[str, Any] = {"message": code.message, "code": code.code, "errors": []}
    if code is VALIDATION_ERROR:
        body["errors"] = [{"path": ["urlSuccess"], "message": "is required", "code": "required"}]
    return body | (GONE_PAYMENTS[code.code] if status == Gone.status else {})


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
        f"<tr><td><code>{html.escape(p['name'])}</code></td><td>{_prose(p['description'])}</td></tr>"
        for p in operation.get("parameters", [])
    )
    request = _body("Request", operation.get("requestBody", {}))
    replies = {status: reply for status, reply in operation["responses"].items() if not _is_error(reply)}
    answers = "".join(_body(f"Answer {status}", reply) for status, reply in replies.items())
    errors = "".join(
        f"<tr><td>{status}</td><td><code>{code}</code></td><td>{_prose(example['summary'])}. "
        f"<i>{_prose(example['description'])}.</i></td></tr>"
        for status, reply in operation["responses"].items()
        for code, example in _content(reply).get("examples", {}).items()
    )
    gone = operation["responses"].get(str(Gone.status))
    return (
        f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
        f"<p><b>{_prose(operation['summary'])}</b></p><p>{_prose(operation.get('description', ''))}</p>"
        f"<table>{parameters}</table>{request}{answers}{_body('Answer 410', gone) if gone else ''}"
        f"<h3>Errors</h3><table>{errors}</table></section>"
    )


def _body(title: str, message: dict[str, Any]) -> str:
    """Return the schema and an example of a JSON request or answer; an empty object for other media types."""
    content = _content(message)
    example = content.get("example") or next((each["value"] for each in content.get("examples", {}).values()), None)
    if example is None:
        return ""
    name = next(iter(_COMPONENT.findall(json.dumps(content["schema"]))), "")
    shown = html.escape(json.dumps(example, indent=2, ensure_ascii=False))
    return f"<h3>{title}: <a href='#{name}'>{name}</a></h3><pre>{shown}</pre>"


def _prose(text: str) -> str:
    """Return ``text`` as HTML, with the names in backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _is_error(reply: dict[str, Any]) -> bool:
    return "examples" in _content(reply)


def _content(message: dict[str, Any]) -> dict[str, Any]:
    return next(iter(message.get("content", {}).values()), {})


_COMPONENT: Final = re.compile(r"#/components/schemas/(\w+)")
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
