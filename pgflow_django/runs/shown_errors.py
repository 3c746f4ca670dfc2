"""How errors are told to who looks at a run: as they are, or as the site's ``redact_error`` has it.

Service layer, below everything that reads errors to show them. Who answers a person or a program
says once who that is, with ``showing_errors``; what reads an error asks ``show_error``. For code
and for commands nobody says anything: they get errors as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from pgflow_django import jsonvalue

#: What an error is made of that a hook may change.
TEXTS: Final = ("error_type", "error_message", "traceback")

Hook = Callable[[dict[str, Any]], Any]
_hook: ContextVar[Hook | None] = ContextVar("pgflow_redact_error", default=None)


@contextmanager
def showing_errors(hook: Hook) -> Iterator[None]:
    """Until it ends, ``show_error`` calls ``hook`` with each error, and gives what that returns."""
    token = _hook.set(hook)
    try:
        yield
    finally:
        _hook.reset(token)


def show_error(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """An error as its reader may see it: with other ``TEXTS``, and whatever else it has.

    A text that it has not got, or that is ``None``, stays so. Call it with all that was read of the
    error, and cut afterwards.
    """
    hook = _hook.get()
    asked = {name: error.get(name) or "" for name in TEXTS}
    if hook is None or not any(asked.values()):
        return error
    told = _read(hook({**asked, "step_slug": error.get("step_slug")}))
    return {**error, **{name: told[name] for name in TEXTS if error.get(name) is not None}}


def _read(told: Any) -> dict[str, str]:
    """The texts that a hook has returned. Whatever it is, a page can show it; no text is markup."""
    if not isinstance(told, Mapping):
        told = {"error_message": told}
    texts = {name: told.get(name) for name in TEXTS}
    shown = {
        name: "" if text is None else jsonvalue.storable_text(str(text))
        for name, text in texts.items()
    }
    return {**shown, "error_type": shown["error_type"] or "Error"}
