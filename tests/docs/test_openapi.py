"""The OpenAPI contract says what the endpoint classes say, and what the fake server does."""

from __future__ import annotations

import functools
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]
from attrs import NOTHING, Attribute, fields, has, resolve_types

from mayar_reviews import PRODUCTION_URL, SANDBOX_URL, ReviewsClient, checks, endpoints, models
from mayar_reviews.answers import CustomerRecord
from mayar_reviews.api_json import camel_case, to_api
from mayar_reviews.arguments import Attachment, StatusUpdate
from mayar_reviews.checks import (
    EMAIL_LENGTH,
    ID_LENGTH,
    MAX_ATTACHMENTS,
    MAX_CURSOR_LENGTH,
    MAX_STATUS_UPDATES,
    MESSAGE_LENGTH,
    RATINGS,
)
from mayar_reviews.endpoints import Endpoint
from mayar_reviews.models import ReviewPage, ReviewStatus
from mayar_reviews.testing import FakeMayar
from mayar_reviews.testing.api import PREFIX, Request, ReviewsApi, route_of
from mayar_reviews.testing.store import Store

JSON = dict[str, Any]

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "docs" / "openapi.yaml"
PAGE = ROOT / "docs" / "reference" / "api.md"
EXAMPLES = sorted((ROOT / "tests" / "examples").glob("*.json"))
ENDPOINTS = [
    one
    for one in vars(endpoints).values()
    if inspect.isclass(one) and issubclass(one, Endpoint) and one is not Endpoint
]
MODELS = [
    one
    for one in vars(models).values()
    if inspect.isclass(one) and has(one) and hasattr(one, "to_dict") and one.__name__[0] != "_"
]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@functools.cache
def contract() -> JSON:
    loaded: JSON = yaml.safe_load(CONTRACT.read_text())
    return loaded


def operation(endpoint: type[Endpoint[Any]]) -> JSON:
    found: JSON = contract()["paths"][endpoint.route][endpoint.method.lower()]
    return found


def resolved(part: Any) -> Any:
    """A part of the contract with what its references lead to, and without what only describes."""
    if isinstance(part, list):
        return [resolved(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found: Any = contract()
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found | {name: value for name, value in part.items() if name != "$ref"}
    return {
        name: {key: resolved(value) for key, value in inner.items()}
        if name == "properties"
        else resolved(inner)
        for name, inner in part.items()
        if name not in ("description", "example", "examples")
    }


def validator(schema: JSON) -> Any:
    """A validator of one schema of the contract; references in it lead to the contract."""
    formats = jsonschema.FormatChecker(["email"])
    # The documentation says no more than "a valid email".
    formats.checks("email")(
        lambda text: not isinstance(text, str) or re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text)
    )
    return jsonschema.Draft202012Validator(
        schema | {"components": contract()["components"]}, format_checker=formats
    )


# --- the contract as a whole -----------------------------------------------------------------


def test_the_contract_is_valid() -> None:
    """It is OpenAPI 3.1."""
    from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: PLC0415

    assert contract()["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(contract()).validate()


def test_every_operation_has_a_class_and_every_class_an_operation() -> None:
    """The same methods, routes and names."""
    operations = {
        (method.upper(), route, operation["operationId"])
        for route, methods in contract()["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {(one.method, one.route, one.name) for one in ENDPOINTS}


def test_the_servers_are_the_ones_that_the_client_knows() -> None:
    """Production comes first."""
    urls = [server["url"] for server in contract()["servers"]]
    assert urls == [PRODUCTION_URL + PREFIX, SANDBOX_URL + PREFIX]


def test_every_operation_needs_a_key() -> None:
    """As a bearer token; no operation makes an exception."""
    assert contract()["security"] == [{"apiKey": []}]
    scheme = resolved(contract()["components"]["securitySchemes"]["apiKey"])
    assert scheme == {"type": "http", "scheme": "bearer"}
    assert not any("security" in operation(one) for one in ENDPOINTS)


def test_the_page_of_the_contract_has_every_operation() -> None:
    """With its route and, but for the look-up, the method of the client."""
    rows = re.findall(r"^\| `(\w+)` \| `(\w+) (\S+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert {row[:3] for row in rows} == {(one.name, one.method, one.route) for one in ENDPOINTS}
    for name, _, _, methods in rows:
        named = re.findall(r"`(\w+)`", methods)
        assert name == "get_customer" or name in named
        assert all(hasattr(ReviewsClient, method) for method in named)


# --- what is asked ---------------------------------------------------------------------------


def text(limits: tuple[int, int], **more: object) -> JSON:
    return {"type": "string", "minLength": limits[0], "maxLength": limits[1]} | more


def number(low: int, high: int) -> JSON:
    return {"type": "integer", "minimum": low, "maximum": high}


def rules() -> dict[object, JSON]:
    """What each check of an argument is in the contract."""
    attachments = {"type": "array", "maxItems": MAX_ATTACHMENTS, "items": arguments(Attachment)}
    return {
        checks.is_id: text(ID_LENGTH),
        checks.is_email: text(EMAIL_LENGTH, format="email"),
        checks.is_message: text(MESSAGE_LENGTH),
        checks.is_cursor: text((1, MAX_CURSOR_LENGTH)),
        checks.is_rating: number(*RATINGS),
        checks.is_limit: {"type": "integer", "minimum": 1},
        checks.is_flag: {"type": "boolean"},
        checks.is_status: {"type": "string", "enum": list(ReviewStatus.__members__)},
        endpoints._is_attachments: attachments,
    }


def argument_rules() -> dict[object, JSON]:
    """The same for the checks of what arguments are made of."""
    return {
        checks.is_id: text(ID_LENGTH),
        checks.is_filled: {"type": "string"},  # that it may not be empty is the client's own rule
        checks.is_media_type: {"type": "string", "enum": ["image", "video"]},
        checks.is_status: {"type": "string", "enum": list(ReviewStatus.__members__)},
    }


def rule(one: Attribute[Any], known: dict[object, JSON]) -> JSON:
    """The schema of a field, by its check; `KeyError` for a check that is new."""
    if one.name == "input":  # checked before it is cut into requests
        items = arguments(StatusUpdate)
        return {"type": "array", "minItems": 1, "maxItems": MAX_STATUS_UPDATES, "items": items}
    check: Any = one.validator
    return known[getattr(check, "validator", check)]  # `optional` holds the true one


def arguments(cls: type[Any]) -> JSON:
    """The schema of the objects of a class that users build."""
    return {
        "type": "object",
        "required": required(cls),
        "properties": {camel_case(one.name): rule(one, argument_rules()) for one in fields(cls)},
    }


def required(cls: type[Any]) -> list[str]:
    return [camel_case(one.name) for one in fields(cls) if one.default is NOTHING]


SENT: dict[str, Any] = {
    "review_id": "review-1",
    "payment_link_id": "product-1",
    "customer_id": "customer-1",
    "customer_email": "budi@example.com",
    "email": "budi@example.com",
    "rating": 5,
    "message": "Bagus",
    "content_review": [Attachment("file-1", "image")],
    "delete_content_review": [Attachment("file-2", "image")],
    "limit": 10,
    "starting_after": "1767063610103",
    "status": "ACTIVE",
    "prioritize_message": True,
    "input": (StatusUpdate("review-1", "ACTIVE"),),
}


def asked(endpoint: type[Endpoint[Any]]) -> tuple[dict[str, JSON], dict[str, JSON], set[str]]:
    """What a class sends in the path and outside it, each with its schema, and what is required."""
    by_name = {camel_case(one.name): rule(one, rules()) for one in fields(endpoint)}
    request = endpoint(**{one.name: SENT[one.name] for one in fields(endpoint)})
    names = request.parameters(to_api(request))
    in_path = {name: by_name[name] for name in by_name if f"{{{name}}}" in endpoint.route}
    # What is no field is the id of an update, which is always sent.
    outside = {name: by_name[name if name in by_name else "reviewId"] for name in names}
    needed = {*required(endpoint), *(name for name in names if name not in by_name)}
    return in_path, outside, needed


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_operation_asks_for_what_its_class_sends(endpoint: type[Endpoint[Any]]) -> None:
    """The same names in the same places, with the same limits, and the same ones required."""
    in_path, outside, needed = asked(endpoint)
    found = resolved(operation(endpoint))
    places: dict[str, dict[str, JSON]] = {"path": {}, "query": {}}
    for parameter in found.get("parameters", []):
        name, where = parameter["name"], parameter["in"]
        places[where][name] = parameter["schema"]
        assert parameter.get("required", False) is (name in needed), name
    assert places["path"] == in_path
    if endpoint.method == "GET":
        assert places["query"] == outside
        assert "requestBody" not in found
    else:
        assert not places["query"]
        assert found["requestBody"]["required"] is True
        [(kind, content)] = found["requestBody"]["content"].items()
        assert kind == "application/json"
        assert content["schema"]["properties"] == outside
        assert set(content["schema"]["required"]) == needed - in_path.keys()


# --- what is answered ------------------------------------------------------------------------

SCALARS: dict[Any, JSON] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "integer", "format": "int64"},
    ReviewStatus | str: {"type": "string"},
}
# What the models do not check, as they take what the server sends.
DOCUMENTED: dict[str, JSON] = {
    "rating": number(*RATINGS),
    "stats": {"minItems": RATINGS[1], "maxItems": RATINGS[1]},
}


def answered(kind: Any) -> JSON:
    """The schema of a type."""
    if kind in SCALARS:
        return SCALARS[kind]
    if get_origin(kind) is tuple:
        return {"type": "array", "items": answered(get_args(kind)[0])}
    if has(kind):
        return model(kind)
    (only,) = (one for one in get_args(kind) if one is not NoneType)
    return or_null(answered(only))


def or_null(schema: JSON) -> JSON:
    if "properties" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def model(cls: Any) -> JSON:
    """The schema of a model: what has a default may be missing or null."""
    schemas = {}
    for one in fields(resolve_types(cls)):
        schema = answered(one.type)
        if get_origin(one.type) is tuple and one.default is not NOTHING:
            schema = or_null(schema)
        schemas[camel_case(one.name)] = schema | DOCUMENTED.get(one.name, {})
    needed = {"required": required(cls)} if required(cls) else {}
    return {"type": "object", "properties": schemas} | needed


@pytest.mark.parametrize("cls", [one for one in MODELS if one is not ReviewPage])
def test_a_model_is_in_the_contract(cls: type[Any]) -> None:
    """The same fields of the same types, and the same ones required."""
    found = resolved(contract()["components"]["schemas"][cls.__name__])
    assert found == model(cls)


def test_a_page_is_in_the_contract() -> None:
    """It has what a page sends, but not what the client adds to it."""
    found = resolved(contract()["components"]["schemas"]["ReviewPage"])
    sent = ReviewPage((), has_more=False, next_starting_after=None, raw=()).to_dict()
    assert set(found["properties"]) == set(found["required"]) == set(sent)
    for one in fields(resolve_types(ReviewPage)):
        if camel_case(one.name) in sent:
            assert found["properties"][camel_case(one.name)] == answered(one.type)


def test_a_customer_is_in_the_contract() -> None:
    """What the client reads is required, and nothing else is."""
    found = resolved(contract()["components"]["schemas"]["CustomerRecord"])
    read = model(CustomerRecord)
    assert found["required"] == read["required"]
    assert {name: found["properties"][name] for name in read["properties"]} == read["properties"]


# --- the examples ----------------------------------------------------------------------------


def contents(part: Any) -> Iterator[JSON]:
    """All parts of an operation that have a schema."""
    if isinstance(part, list):
        for item in part:
            yield from contents(item)
    elif isinstance(part, dict):
        if "$ref" in part and "/schemas/" not in part["$ref"]:
            _, _, kind, name = part["$ref"].split("/")
            yield from contents(contract()["components"][kind][name])
        elif "schema" in part:
            yield part
        else:
            for inner in part.values():
                yield from contents(inner)


def examples(part: JSON) -> Iterator[tuple[str, Any]]:
    """The examples that stand beside a schema, with their names."""
    if "example" in part:
        yield "example", part["example"]
    shared = contract()["components"]["examples"]
    for name, one in part.get("examples", {}).items():
        if "$ref" in one:
            assert one["$ref"] == f"#/components/examples/{name}"
        yield name, (shared[name] if "$ref" in one else one)["value"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_documented_answer_fits_its_operation(file: Path) -> None:
    """The contract has it word for word, at an operation whose schema it fits."""
    documented = json.loads(file.read_text())
    schemas = [
        part["schema"]
        for endpoint in ENDPOINTS
        for part in contents(operation(endpoint)["responses"]["200"])
        for name, value in examples(part)
        if name == file.stem and value == documented
    ]
    assert schemas
    for schema in schemas:
        validator(schema).validate(documented)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_example_fits_its_schema(endpoint: type[Endpoint[Any]]) -> None:
    """Of parameters, bodies and answers; and a success is documented for each operation."""
    found = [
        (name, part["schema"], value)
        for part in contents(operation(endpoint))
        for name, value in examples(part)
    ]
    for _, schema, value in found:
        validator(schema).validate(value)
    assert any(
        isinstance(value, dict) and value.get("messages") == "success" for *_, value in found
    )


# --- the fake server -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("status_in_body", [False, True])
def test_the_fake_server_keeps_the_contract(tmp_path: Path, status_in_body: bool) -> None:
    """Schemathesis asks for whatever the contract allows and forbids, and finds nothing."""
    product, email = "e2b3f5d5-0c62-47ba-8a01-6c1c209e0f77", "budi.santoso@example.com"
    review = "11f4d767-4d88-41ff-8777-06564d906fe7"
    with FakeMayar(status_in_body=status_in_body) as fake:
        # What the contract's examples ask for is there.
        fake.add_customer(email, customer_id="22eb6224-c20a-4bc2-9b99-13b21e7048c6")
        fake.add_purchase(product, email)
        fake.seed(product, 30)
        fake.add_review(product, id=review)
        before = len(fake.reviews)
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(CONTRACT)]
        command += ["--url", fake.url + PREFIX, "--header", f"Authorization: Bearer {fake.api_key}"]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
        command += ["--seed", "1", "--max-examples", "40", "--warnings", "off", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(fake.reviews) > before  # a review was created
    seen = {(route_of(one.method, one.path)[0], one.status) for one in fake.requests}
    assert {route for route, status in seen if status == 200} >= {route(one) for one in ENDPOINTS}
    if not status_in_body:
        assert {status for _, status in seen} == {200, 400, 401, 403, 404, 409}
    for one in ENDPOINTS:
        if one.method == "POST":
            bodies = [r.body for r in fake.requests if route_of(r.method, r.path)[0] == route(one)]
            assert bodies
            assert not [body for body in bodies if refuses(one, body) is allows(one, body)]


def route(endpoint: type[Endpoint[Any]]) -> str | None:
    """The fake server's name of an endpoint."""
    return route_of(endpoint.method, path(endpoint))[0]


def path(endpoint: type[Endpoint[Any]]) -> str:
    return PREFIX + re.sub(r"\{\w+\}", "some-id", endpoint.route)


def refuses(endpoint: type[Endpoint[Any]], body: Any) -> bool:
    """Whether the fake server calls a body invalid."""
    reply = ReviewsApi(Store()).handle(Request("POST", path(endpoint), body=body))
    return bool(reply.envelope["messages"] == "failed")


def allows(endpoint: type[Endpoint[Any]], body: Any) -> bool:
    """Whether the contract allows a body."""
    [content] = operation(endpoint)["requestBody"]["content"].values()
    return bool(validator(content["schema"]).is_valid(body))
