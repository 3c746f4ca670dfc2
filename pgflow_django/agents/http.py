"""The operations over HTTP: an address each, JSON in and out, and one shape for every error."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLResolver
from django.urls.resolvers import RegexPattern
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from pgflow_django.agents import performing
from pgflow_django.agents.calls import log_call
from pgflow_django.agents.openapi import describe, divide, make_api
from pgflow_django.agents.operations import Operation
from pgflow_django.agents.performing import perform
from pgflow_django.agents.web import Refused, read_body, refuse, require_on, require_principal
from pgflow_django.exceptions import InvalidInput, PgflowError

_NOT_FOUND: Final = "There is nothing at this address: openapi.json lists what there is."
_NO_EXTRA: Final = 'The HTTP API needs an extra: pip install "pgflow_django[api]"'
_BOOLEANS: Final = {"true": True, "false": False}
_WANTED: Final = {"boolean": "true or false", "integer": "a whole number", "number": "a number"}
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


@login_not_required
@csrf_exempt
@never_cache
@transaction.non_atomic_requests
def serve(request: HttpRequest, rest: str) -> HttpResponse:
    """Answer one call, at the address ``rest`` below that of the API."""
    try:
        require_on()
        if find_spec("ninja") is None:
            raise refuse(404, _NO_EXTRA, code="not_installed")
        return _route(request, rest)
    except Refused as refused:
        return refused.response
    except PgflowError as error:
        return _respond(performing.refuse(error))


@cache
def _make_router() -> URLResolver:
    """The addresses of the API. They are the same for all; django-ninja is imported by this."""
    return URLResolver(RegexPattern(r"^"), make_api(_answer).urls[0])


def _route(request: HttpRequest, rest: str) -> HttpResponse:
    if rest == "openapi.json":
        return _tell_of_itself(request, request.path.removesuffix(rest))
    try:
        found = _make_router().resolve(rest)
        response: HttpResponse = found.func(request, *found.args, **found.kwargs)
    except Http404:
        raise refuse(404, _NOT_FOUND, code="not_found") from None
    if response.status_code == 405:
        raise _refuse_method(response["Allow"])
    return response


def _tell_of_itself(request: HttpRequest, prefix: str) -> HttpResponse:
    if request.method != "GET":
        raise _refuse_method("GET")
    require_principal(request, "http")
    return JsonResponse(describe_api(prefix))


def describe_api(prefix: str) -> dict[str, Any]:
    """The API in OpenAPI 3.1, as it is at the address ``prefix``."""
    return describe(make_api(_answer), prefix)


def _refuse_method(allowed: str) -> Refused:
    message = f"This address knows {allowed} only."
    return refuse(405, message, code="method_not_allowed", Allow=allowed)


def _answer(request: HttpRequest, operation: Operation, path: dict[str, str]) -> HttpResponse:
    """Do what is asked for at the address of an operation. Raises ``Refused``."""
    principal = request.auth  # type: ignore[attr-defined] # ninja puts it there
    try:
        arguments = _read_arguments(request, operation, path)
    except (Refused, InvalidInput) as error:
        log_call(principal, operation.name, workflow_slug=path.get("slug", ""), code=error.code)
        raise
    return _respond(perform(principal, operation.name, arguments))


def _respond(answer: performing.Answer) -> HttpResponse:
    response = JsonResponse(answer.value, status=answer.status)
    seconds = answer.value.get("error", {}).get("retry_after") if answer.is_error else None
    if seconds:
        response["Retry-After"] = str(seconds)
    return response


def _read_arguments(
    request: HttpRequest, operation: Operation, path: dict[str, str]
) -> dict[str, Any]:
    given = _read_query(request, operation) if operation.method == "GET" else _read_json(request)
    for name in path.keys() & given.keys():
        raise _refuse_argument(name, f"{name} stands in the address, and nowhere else.")
    of_its_own = {field.alias or name for name, field in operation.arguments.model_fields.items()}
    document = given.get("document")
    if "slug" not in of_its_own and "slug" in path and isinstance(document, dict):
        slug = document.get("workflow_slug", path["slug"])
        if slug != path["slug"]:
            message = (
                f'The document is of another flow than the address, which says "{path["slug"]}".'
            )
            raise _refuse_argument("document/workflow_slug", message)
    return {**given, **{name: value for name, value in path.items() if name in of_its_own}}


def _refuse_argument(name: str, message: str) -> InvalidInput:
    error = InvalidInput(message, code="invalid_arguments")
    error.problems = [{"pointer": f"/{name}", "message": message}]
    return error


def _read_query(request: HttpRequest, operation: Operation) -> dict[str, Any]:
    """The arguments of a query, each of the type that it is declared to have."""
    try:
        query = request.GET
    except SuspiciousOperation:
        raise refuse(400, "The query has too many parts.", code="unreadable_request") from None
    known = divide(operation).elsewhere
    given: dict[str, Any] = {}
    for name, values in query.lists():
        schema = known.get(name, {})
        if schema.get("type") == "array":
            given[name] = values
        elif len(values) > 1:
            raise _refuse_argument(name, f"{name} is given {len(values):,} times.")
        else:
            given[name] = _read_value(name, values[0], schema)
    return given


def _read_value(name: str, text: str, schema: dict[str, Any]) -> Any:
    """A value of a query. Raises ``InvalidInput`` for what is none of its type."""
    kind = schema.get("type", "string")
    if kind == "boolean" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if kind == "integer" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text)
    if kind in _WANTED:
        raise _refuse_argument(name, f"{name} must be {_WANTED[kind]}.")
    return text


def _read_json(request: HttpRequest) -> dict[str, Any]:
    """The object that is the body of a request; nothing is as good as an empty one."""
    body = read_body(request)
    if not body:
        return {}
    charset = (request.content_params or {}).get("charset", "utf-8")
    if request.content_type != "application/json" or charset.lower() != "utf-8":
        message = "Send JSON in UTF-8, and say so: Content-Type: application/json"
        raise refuse(415, message, code="unsupported_media_type")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidInput("The request is nested too deeply.", code="document_too_deep") from None
    except ValueError as error:
        message = f"The request is no JSON in UTF-8: {error}"
        raise refuse(400, message, code="invalid_json") from None
    if not isinstance(value, dict):
        raise InvalidInput(
            "The request must be a JSON object of arguments.", code="invalid_arguments"
        )
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"there is no {name} in JSON")
