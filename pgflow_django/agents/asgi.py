"""One request of Django's as an ASGI application sees it, and its answer as Django's response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

Message = MutableMapping[str, Any]
Application = Callable[
    [dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

#: Who has signed in is known by now: secrets go no further.
_KEPT_BACK: Final = {"authorization", "cookie"}
#: Headers that the server itself writes.
_OF_THE_SERVER: Final = {"connection", "content-length", "transfer-encoding"}


async def ask(application: Application, request: HttpRequest, body: bytes) -> HttpResponse:
    """The whole answer of an application to a request, whose body has been read."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    answer = HttpResponse()
    parts: list[bytes] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        # Under WSGI nobody says that the client has gone.
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status_code = message["status"]
            del answer["Content-Type"]
            for name, value in message.get("headers", ()):
                if (header := name.decode("latin-1")).lower() not in _OF_THE_SERVER:
                    answer[header] = value.decode("latin-1")
        else:
            parts.append(message.get("body", b""))

    await application(_make_scope(request), receive, send)
    answer.content = b"".join(parts)
    return answer


def _make_scope(request: HttpRequest) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
            if name.lower() not in _KEPT_BACK
        ],
        "client": None,
        "server": None,
    }
