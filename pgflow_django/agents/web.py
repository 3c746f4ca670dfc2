"""What programs meet at the door over HTTP: the switch, the token, the size; refusals in JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError

from pgflow_django.agents.access import Principal, authenticate
from pgflow_django.agents.calls import log_stranger
from pgflow_django.agents.policy import find_mode
from pgflow_django.conf import settings

_NOT_FOUND: Final = "Programs are not served here."
#: The same words for every reason: who guesses tokens learns nothing.
_UNKNOWN: Final = (
    "Sign in with a token of this site: Authorization: Bearer pgf_… A token may have ended, or "
    "its user; manage.py agenttoken makes a new one."
)


class Refused(Exception):
    """A request that goes no further than the door."""

    def __init__(self, response: HttpResponse, code: str) -> None:
        super().__init__(code)
        self.response = response
        self.code = code


def refuse(status: int, message: str, *, code: str, **headers: str) -> Refused:
    """A refusal, as programs read errors everywhere."""
    response = JsonResponse({"error": {"code": code, "message": message}}, status=status)
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    return Refused(response, code)


def require_on() -> None:
    """Raise ``Refused`` (404) where the site serves no programs."""
    if find_mode() == "off":
        raise refuse(404, _NOT_FOUND, code="agents_off")


def require_principal(request: HttpRequest, via: str) -> Principal:
    """Who calls, by the door ``via``. Raises ``Refused`` (401) for whoever has no good token."""
    principal = authenticate(request)
    if principal is None:
        log_stranger(via)
        raise refuse(401, _UNKNOWN, code="not_signed_in", WWW_Authenticate="Bearer")
    return replace(principal, via=via)


def read_body(request: HttpRequest) -> bytes:
    """The body of a request. Raises ``Refused``: 413 where it is larger than the site takes.

    Django's own limit is not asked: it answers with a page.
    """
    limit: int = settings.AGENT_MAX_BYTES
    try:
        body = request.read(limit + 1)
    except UnreadablePostError:
        raise refuse(400, "The request could not be read.", code="unreadable_request") from None
    if len(body) > limit:
        raise refuse(413, f"A request may have {limit:,} bytes.", code="request_too_large")
    return body
