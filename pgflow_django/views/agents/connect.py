"""The page that says how a program is connected, and what it may do for this user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from pgflow_django.agents.access import ASKS
from pgflow_django.agents.policy import find_mode, policy, quotas
from pgflow_django.choices import Access
from pgflow_django.views.page import Page

#: What clients call this server.
_NAME = "pgflow"
#: Stands for the address where the site has none.
_NO_ADDRESS = "https://example.com/agents/mcp/"


@dataclass(frozen=True, slots=True)
class Client:
    """How one kind of client is told of the server: a title, where it goes, and the text."""

    title: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """An action that an access allows, and whether the user may do it anyway."""

    access: str
    words: str
    is_allowed: bool


def connect(page: Page) -> HttpResponse:
    """Show the address, configurations to copy, and what this user's programs may do."""
    address = _find_address(page)
    context = page.context(
        _("Connect an agent"),
        address=address,
        clients=_list_clients(address or _NO_ADDRESS),
        stdio=_describe_stdio(page.request.user.get_username()),
        mode=find_mode(),
        rows=_list_rows(page),
        quotas=quotas(),
        policy=policy(),
        may_make_token=page.may("view_tokens") and page.may("add_token"),
        may_see_tokens=page.may("view_tokens"),
    )
    return render(page.request, "pgflow_django/agents/connect.html", context)


def _find_address(page: Page) -> str:
    """The address of the MCP server, where the site has included it."""
    try:
        return page.request.build_absolute_uri(reverse("pgflow_mcp"))
    except NoReverseMatch:
        return ""


def _list_clients(address: str) -> list[Client]:
    def bearer(token: str) -> dict[str, Any]:
        return {"url": address, "headers": {"Authorization": f"Bearer {token}"}}

    vscode = {
        "inputs": [
            {"type": "promptString", "id": "pgflow-token", "description": "Token", "password": True}
        ],
        "servers": {_NAME: {"type": "http", **bearer("${input:pgflow-token}")}},
    }
    cursor = {"mcpServers": {_NAME: bearer("${env:PGFLOW_TOKEN}")}}
    command = (
        f"claude mcp add --transport http {_NAME} {address} \\\n"
        '  --header "Authorization: Bearer $PGFLOW_TOKEN"'
    )
    return [
        Client("Claude Code", _("on its command line"), command),
        Client("Cursor", ".cursor/mcp.json", _write(cursor)),
        Client("VS Code", ".vscode/mcp.json", _write(vscode)),
    ]


def _describe_stdio(user: str) -> str:
    """The configuration of clients that start the server themselves, beside the site's code."""
    arguments = ["/path/to/manage.py", "mcp", "--user", user]
    return _write({"mcpServers": {_NAME: {"command": "python", "args": arguments}}})


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _list_rows(page: Page) -> list[Row]:
    """Every action that a token can be for, in the order of accesses."""
    words = _name_actions()
    names = {access.value: str(access.label) for access in Access}
    return [
        Row(names[access.value], word, page.may(action))
        for access in Access
        for action, word in words.items()
        if ASKS[action] == access
    ]


def _name_actions() -> dict[str, str]:
    return {
        "view": _("see flows, drafts and their history"),
        "view_run": _("see runs, their steps and errors"),
        "view_payload": _("see inputs and outputs"),
        "add": _("begin new flows, as drafts"),
        "change": _("edit drafts, and hand them in"),
        "run": _("start runs and trials"),
        "cancel_run": _("cancel runs"),
        "retry_run": _("retry runs"),
        "pause_run": _("pause and resume runs"),
        "decide_run": _("skip steps, or complete them by hand"),
        "publish": _("publish drafts"),
    }
