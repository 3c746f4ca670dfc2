"""The ``a``-prefixed async twins of the public functions, made as Django makes its own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
R = TypeVar("R")


def async_twin(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """``function`` as a coroutine function of the same signature, called ``a<name>``.

    It runs in the one thread that asgiref keeps for such calls, and so sees the same connections
    and transactions as other sync code of its context.
    """

    @functools.wraps(function)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> R:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)

    twin.__name__ = twin.__qualname__ = f"a{function.__name__}"
    twin.__doc__ = f"Do what ``{function.__name__}`` does, from async code."
    return twin


def waiting_twin(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """``async_twin`` of a function that may wait for long.

    It waits in a thread of its own, with connections of its own, so as not to keep the rest of
    the process's sync code waiting. Inside a transaction (a ``TestCase``) it must stay in the
    one thread that sees it.
    """
    stay = async_twin(function)

    @functools.wraps(stay)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> R:
        if await sync_to_async(_is_in_transaction, thread_sensitive=True)():
            return await stay(*args, **kwargs)
        return await sync_to_async(_with_own_connections, thread_sensitive=False)(
            functools.partial(function, *args, **kwargs)
        )

    return twin


def _is_in_transaction() -> bool:
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def _with_own_connections(call: Callable[[], R]) -> R:
    try:
        return call()
    finally:
        connections.close_all()
