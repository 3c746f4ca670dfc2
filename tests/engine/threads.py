"""Running things in threads of their own, with their connections closed and errors passed on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections

from tests.waiting import PATIENCE


class Background:
    """A call in a thread of its own; ``result()`` waits for it, and raises what it raised."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 - it is raised again by result()
            self._error = error
        finally:
            connections.close_all()

    @property
    def is_running(self) -> bool:
        """Whether the call has not come back."""
        return self._thread.is_alive()

    def result(self, patience: float = PATIENCE) -> Any:
        """The call's value."""
        self._thread.join(patience)
        assert not self._thread.is_alive(), f"the call has not come back within {patience:g} s"
        if self._error is not None:
            raise self._error
        return self._result


def at_once(calls: Sequence[Callable[[], Any]], patience: float = PATIENCE) -> list[Any]:
    """Call all at the same instant, each in its own thread; their values in that order."""
    barrier = threading.Barrier(len(calls))

    def start_together(call: Callable[[], Any]) -> Any:
        barrier.wait(PATIENCE)
        return call()

    running = [Background(lambda call=call: start_together(call)) for call in calls]
    return [one.result(patience) for one in running]
