"""Tokens, with which programs sign in: made, found, listed and revoked."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from pgflow_django.choices import Access
from pgflow_django.exceptions import InvalidInput
from pgflow_django.models import AgentToken
from pgflow_django.storage.trouble import uses_database

#: What each token begins with, so that a leaked one is known for what it is.
PREFIX = "pgf_"
_RANDOM_BYTES = 32
#: Names and prefixes longer than this are none that anybody typed.
MAX_NAME = 100
#: Who wants it longer than this wants it without an end.
LONGEST = timedelta(days=3650)
#: ``last_used_at`` is written at most this often: tokens are used by every call.
_NOTED_EVERY = timedelta(minutes=1)


@uses_database
def create_token(
    user: Any,
    name: str,
    access: str = Access.READ,
    *,
    flows_prefix: str = "",
    expires_in: timedelta | None = None,
    using: str | None = None,
) -> tuple[AgentToken, str]:
    """A new token of a user, and its text, which is told here only: the hash alone is stored.

    ``flows_prefix`` narrows it to the flows whose slugs begin so; without ``expires_in`` it is good
    until it is revoked.

    Raises ``InvalidInput`` (``invalid_token``) for a name, an access, a prefix or a time that is
    none.
    """
    _refuse(name, access, flows_prefix, expires_in)
    secret = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    alias = using or router.db_for_write(AgentToken)
    token = AgentToken.objects.using(alias).create(
        user_key=str(user.pk),
        name=name,
        token_hash=hash_token(secret),
        access=access,
        flows_prefix=flows_prefix,
        expires_at=None if expires_in is None else timezone.now() + expires_in,
    )
    return token, secret


def _refuse(name: Any, access: Any, flows_prefix: Any, expires_in: timedelta | None) -> None:
    fault = ""
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        fault = f"The name of a token must be a text of 1 to {MAX_NAME} characters."
    elif not name.isprintable():
        fault = "The name of a token can't have control characters or line ends."
    elif access not in Access.values:
        fault = f"The access of a token is one of {', '.join(Access.values)}, not {access!r}."
    elif not isinstance(flows_prefix, str) or not _may_begin_slug(flows_prefix):
        fault = "The prefix must be what slugs of flows begin with: letters, digits, underscores."
    elif expires_in is not None and not timedelta() < expires_in <= LONGEST:
        fault = f"A token is good for up to {LONGEST.days:,} days."
    if fault:
        raise InvalidInput(fault, code="invalid_token")


def _may_begin_slug(prefix: str) -> bool:
    plain = prefix.replace("_", "a")
    return not prefix or (plain.isascii() and plain.isalnum() and len(prefix) <= MAX_NAME)


def hash_token(secret: str) -> str:
    """What is stored of a token. It is random, so that no salt is needed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@uses_database
def find_token(secret: str, *, using: str | None = None) -> tuple[AgentToken, Any] | None:
    """The token of this text and its user; ``None`` where it is none that may be used any more.

    Its use is noted, once a minute at most.
    """
    if not secret.startswith(PREFIX):
        return None
    alias = using or router.db_for_write(AgentToken)
    now = timezone.now()
    alive = AgentToken.objects.using(alias).filter(revoked_at=None)
    alive = alive.filter(Q(expires_at=None) | Q(expires_at__gt=now))
    token = alive.filter(token_hash=hash_token(secret)).first()
    user = find_user(token) if token is not None else None
    if token is None or user is None or not user.is_active:
        return None
    if token.last_used_at is None or token.last_used_at <= now - _NOTED_EVERY:
        AgentToken.objects.using(alias).filter(pk=token.pk).update(last_used_at=now)
    return token, user


def find_users() -> QuerySet[Any]:
    """The users of the site, whatever model they are of."""
    return get_user_model()._default_manager.all()  # noqa: SLF001 - Django's own name for it


def find_user(token: AgentToken) -> Any | None:
    """The user for whom a token acts; ``None`` where there is none any more."""
    try:
        return find_users().filter(pk=token.user_key).first()
    except (ValueError, ValidationError):  # the site has other keys by now
        return None


def find_users_of(tokens: Iterable[AgentToken]) -> dict[str, Any]:
    """The users for whom tokens act, by the tokens' ``user_key``, in one query."""
    key, found = get_user_model()._meta.pk, []  # noqa: SLF001 - Django's own name for it
    for user_key in {token.user_key for token in tokens}:
        with suppress(ValidationError):  # the site has other keys by now
            found.append(key.to_python(user_key))
    return {str(user.pk): user for user in find_users().filter(pk__in=found)}


def state_of(token: AgentToken, user: Any) -> str:
    """Whether a token of this user is good, and why it is not."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return "expired"
    return "good" if user is not None and user.is_active else "without its user"


def list_tokens(user: Any = None, *, using: str | None = None) -> QuerySet[AgentToken]:
    """Every token, or those of a user, the newest first."""
    alias = using or router.db_for_read(AgentToken)
    tokens = AgentToken.objects.using(alias).all()
    return tokens if user is None else tokens.filter(user_key=str(user.pk))


@uses_database
def revoke_token(token_id: int, *, using: str | None = None) -> AgentToken | None:
    """End a token for good; ``None`` where there is none of this id. Twice is as good as once."""
    alias = using or router.db_for_write(AgentToken)
    tokens = AgentToken.objects.using(alias).filter(pk=token_id)
    tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
    return tokens.first()
