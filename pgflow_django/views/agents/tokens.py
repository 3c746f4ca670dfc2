"""Making a token for a program, which is shown once, and revoking one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django.agents.tokens import create_token, find_user, find_users, revoke_token
from pgflow_django.choices import Access
from pgflow_django.exceptions import PgflowError
from pgflow_django.views.page import Page

if TYPE_CHECKING:
    from pgflow_django.models import AgentToken

#: Days that a token is good for, if nobody wants it otherwise.
_DAYS = "90"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks, and what was answered."""

    name: str = ""
    access: str = Access.READ.value
    flows_prefix: str = ""
    days: str = _DAYS
    user: str = ""


def name_accesses() -> dict[str, str]:
    """What each access allows, beside what those before it do."""
    return {
        Access.READ.value: _("look at flows and runs"),
        Access.AUTHOR.value: _("write drafts, and hand them in"),
        Access.RUN.value: _("start runs and trials"),
        Access.OPERATE.value: _("cancel and retry runs"),
        Access.PUBLISH.value: _("publish, where the site lets programs do that"),
    }


def add(page: Page) -> HttpResponse:
    """Ask what a new token is for, and show it: once, since its hash alone is stored."""
    request = page.request
    if request.method != "POST":
        return _render(page, Asked(user=request.user.get_username()))
    post = request.POST
    asked = Asked(
        post.get("name", "").strip(),
        post.get("access", ""),
        post.get("flows_prefix", "").strip(),
        post.get("days", "").strip(),
        post.get("user", "").strip(),
    )
    try:
        token, secret = _create(page, asked)
    except (PgflowError, _BadAnswer) as refusal:
        return _render(page, asked, status=422, error=str(refusal))
    page.admin.log_addition(request, token, _("Made in the admin."))
    return _render(page, asked, token=token, secret=secret)


class _BadAnswer(Exception):
    """An answer that is none."""


def _create(page: Page, asked: Asked) -> tuple[AgentToken, str]:
    expires_in = None
    if asked.days:
        if not (asked.days.isascii() and asked.days.isdecimal() and len(asked.days) < 6):
            raise _BadAnswer(
                _("Days are a whole number, or left empty for a token without an end.")
            )
        expires_in = timedelta(days=int(asked.days))
    return create_token(
        _find_owner(page, asked.user),
        asked.name,
        asked.access,
        flows_prefix=asked.flows_prefix,
        expires_in=expires_in,
    )


def _find_owner(page: Page, name: str) -> Any:
    """Whose token it is to be: the user's own; a superuser makes them for others too."""
    user = page.request.user
    if not _may_choose(page) or name in {"", user.get_username()}:
        return user
    field = get_user_model().USERNAME_FIELD
    found = find_users().filter(**{field: name}).first() if "\0" not in name else None
    if found is None:
        raise _BadAnswer(_("There is no user %(name)s.") % {"name": name})
    return found


def _may_choose(page: Page) -> bool:
    return bool(getattr(page.request.user, "is_superuser", False))


def _render(page: Page, asked: Asked, *, status: int = 200, **extra: Any) -> HttpResponse:
    context = page.context(
        _("New token"),
        asked=asked,
        accesses=list(name_accesses().items()),
        may_choose=_may_choose(page),
        may_see_flows=page.may("view"),
        **extra,
    )
    return render(page.request, "pgflow_django/agents/token.html", context, status=status)


def revoke(page: Page, token: AgentToken) -> HttpResponse:
    """Ask, and end a token for good."""
    if page.request.method == "POST":
        revoke_token(token.pk)
        if token.revoked_at is None:
            page.admin.log_change(page.request, token, _("Revoked."))
        messages.success(page.request, _("Revoked: the token is good for nothing any more."))
        return HttpResponseRedirect(page.link("agenttoken_changelist"))
    context = page.context(
        _("Revoke %(token)s") % {"token": token.name}, token=token, owner=find_user(token)
    )
    return render(page.request, "pgflow_django/agents/revoke.html", context)
