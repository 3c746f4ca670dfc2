"""MCP over HTTP: one request, one answer in JSON, on every server that Django runs on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from pgflow_django.agents.access import Principal
from pgflow_django.agents.asgi import ask
from pgflow_django.agents.mcp_server import make_server
from pgflow_django.agents.performing import refuse as tell
from pgflow_django.agents.web import Refused, read_body, refuse, require_on, require_principal
from pgflow_django.exceptions import PgflowError

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

_EXTRA: Final = 'MCP needs an extra: pip install "pgflow_django[mcp]"'
_METHOD: Final = "MCP is spoken by POST."


@login_not_required
@csrf_exempt
@never_cache
@transaction.non_atomic_requests
def serve(request: HttpRequest) -> HttpResponse:
    """Answer one message of a client; whoever has no good token gets 401 and nothing else."""
    try:
        return async_to_sync(_serve)(request, _let_in(request), read_body(request))
    except Refused as refused:
        return refused.response
    except PgflowError as error:  # the database, or what the site has set
        return JsonResponse(tell(error).value, status=503)


def _let_in(request: HttpRequest) -> Principal:
    """Who calls. Raises ``Refused`` for what goes no further."""
    require_on()
    if find_spec("mcp") is None:
        raise refuse(404, _EXTRA, code="not_installed")
    if request.method != "POST":
        raise refuse(405, _METHOD, code="method_not_allowed", Allow="POST")
    return require_principal(request, "mcp")


async def _serve(request: HttpRequest, principal: Principal, body: bytes) -> HttpResponse:
    manager = _make_manager(principal, len(body))
    async with manager.run():
        return await ask(manager.handle_request, request, body)


def _make_manager(principal: Principal, size: int) -> StreamableHTTPSessionManager:
    """A manager for one request: nothing is kept between two of them."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings

    return StreamableHTTPSessionManager(
        make_server(lambda: principal),
        stateless=True,
        json_response=True,
        # ALLOWED_HOSTS guards the host.
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=max(size, 1),
    )
