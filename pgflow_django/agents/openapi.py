"""The operations as an API of django-ninja, which routes requests, and tells of itself in OpenAPI.

Arguments in the path are those that the operation's path names; the others stand in the query of a
GET, and in the JSON of every other request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Final

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from pgflow_django import __version__, jsonvalue
from pgflow_django.agents.access import Principal
from pgflow_django.agents.operations import OPERATIONS, Operation
from pgflow_django.agents.tools import compact
from pgflow_django.agents.web import Refused, require_principal
from pgflow_django.exceptions import PgflowError

if TYPE_CHECKING:
    from ninja import NinjaAPI

JSON = dict[str, Any]
Answer = Callable[[HttpRequest, Operation, dict[str, str]], HttpResponse]

#: By which statuses of HTTP something is refused.
STATUSES: Final = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
#: Headers of refusals.
_HEADERS: Final = {
    401: ("WWW-Authenticate", {"type": "string"}, "Bearer"),
    429: ("Retry-After", {"type": "integer"}, "seconds until it is worth while to try again"),
}
_NAMES: Final = re.compile(r"\{(\w+)\}")
#: Characters that are kept of what a client calls itself.
_CLIENT: Final = 200


class Fault(BaseModel):
    """Why something was not done. What else is there depends on the code."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    pointer: str = ""
    suggestions: list[str] = []
    problems: list[JSON] = []
    retry_after: int = 0
    next: list[JSON] = []


class Failure(BaseModel):
    """What every refusal looks like."""

    error: Fault


class Token:
    """Signs programs in, as ninja asks for it; the name is that of the scheme in OpenAPI."""

    openapi_security_schema: Final = {"type": "http", "scheme": "bearer"}

    def __call__(self, request: HttpRequest) -> Principal:
        """Who calls. Raises ``Refused`` for whoever has no good token."""
        client = jsonvalue.storable_text(request.headers.get("User-Agent", ""), limit=_CLIENT)
        return replace(require_principal(request, "http"), client=client)


@dataclass(frozen=True, slots=True)
class Parts:
    """The JSON Schemas of an operation's arguments, by where they are sent."""

    in_path: dict[str, JSON]
    elsewhere: dict[str, JSON]
    #: Names of those elsewhere that must be sent.
    required: list[str]


@cache
def divide(operation: Operation) -> Parts:
    """The arguments of an operation by where they are sent."""
    schema = compact(operation.arguments.model_json_schema())
    properties: dict[str, JSON] = schema.get("properties", {})
    names = _NAMES.findall(operation.path)
    return Parts(
        {name: properties.get(name, {"type": "string"}) for name in names},
        {name: each for name, each in properties.items() if name not in names},
        [name for name in schema.get("required", ()) if name not in names],
    )


@cache
def make_api(answer: Answer) -> NinjaAPI:
    """The API with an endpoint for each operation; ``answer`` does what is asked for there."""
    from ninja import NinjaAPI

    api = NinjaAPI(
        title="pgflow",
        version=__version__,
        description="Flows of this site, and their runs. Errors have a code, and say what to do.",
        openapi_url=None,
        docs_url=None,
        auth=Token(),
    )
    for operation in OPERATIONS.values():
        register = api.api_operation(
            [operation.method],
            operation.path,
            response={200: operation.result, **dict.fromkeys(STATUSES, Failure)},
            operation_id=operation.name,
            summary=operation.summary.partition(". ")[0].rstrip("."),
            description=f"{operation.summary} Needs a token with the access {operation.access}.",
            by_alias=True,
            openapi_extra=_describe(operation),
        )
        register(_make_view(operation, answer))
    for kind in (Refused, PgflowError):
        api.add_exception_handler(kind, _hand_on)
    return api


def _hand_on(_: HttpRequest, error: Any) -> HttpResponse:
    """Whoever has called the API tells of errors."""
    raise error


def describe(api: NinjaAPI, prefix: str) -> JSON:
    """The API in OpenAPI 3.1; ``prefix`` is the path at which it is."""
    return dict(api.get_openapi_schema(path_prefix=prefix))


def _make_view(operation: Operation, answer: Answer) -> Callable[..., HttpResponse]:
    """A view as ninja wants it: what is in the path are its arguments."""

    def view(request: HttpRequest, **path: str) -> HttpResponse:
        return answer(request, operation, path)

    kind = Parameter.KEYWORD_ONLY
    arguments = [
        Parameter(name, kind, annotation=Annotated[str, WithJsonSchema(schema)])
        for name, schema in divide(operation).in_path.items()
    ]
    request = Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=HttpRequest)
    view.__name__ = operation.name
    view.__signature__ = Signature([request, *arguments])  # type: ignore[attr-defined]
    return view


def _describe(operation: Operation) -> JSON:
    """What ninja can't see: it gets requests as they are, and reads nothing of them."""
    responses = {
        status: {"headers": {name: {"schema": schema, "description": text}}}
        for status, (name, schema, text) in _HEADERS.items()
    }
    parts = divide(operation)
    if operation.method == "GET":
        parameters = [
            {
                "in": "query",
                "name": name,
                "schema": schema,
                "required": name in parts.required,
                "description": schema.get("description", ""),
            }
            for name, schema in parts.elsewhere.items()
        ]
        return {"responses": responses, "parameters": parameters}
    if not parts.elsewhere:
        return {"responses": responses}
    schema = {
        "type": "object",
        "properties": parts.elsewhere,
        "required": parts.required,
        "additionalProperties": False,
    }
    body = {"content": {"application/json": {"schema": schema}}, "required": bool(parts.required)}
    return {"responses": responses, "requestBody": body}
