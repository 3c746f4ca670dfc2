"""Streams and consoles of commands, and the signs that their terminals can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from rich.console import Console

if TYPE_CHECKING:
    from typing import IO

    from django.core.management.base import OutputWrapper

#: Columns where there is no terminal: nothing is cut for the program that reads it.
_UNLIMITED: Final = 10_000

#: Sign and colour of each status, of steps as well as of runs.
_SIGNS: Final[Mapping[str, tuple[str, str, str]]] = {
    "waiting": ("○", ".", "dim"),
    "running": ("●", ">", "cyan"),
    "retrying": ("↻", "~", "yellow"),
    "completed": ("✓", "+", "green"),
    "failed": ("✗", "x", "bold red"),
    "cancelled": ("⊘", "-", "magenta"),
    "skipped": ("»", "=", "dim"),
    "started": ("●", ">", "cyan"),
    "paused": ("‖", "|", "yellow"),
}
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Stream:
    """A command's output as rich writes to it: without the newlines and colours of Django's."""

    def __init__(self, wrapper: OutputWrapper) -> None:
        """``wrapper`` is the command's ``stdout`` or ``stderr``."""
        self._wrapper = wrapper

    def write(self, text: str) -> int:
        """Write ``text`` as it is."""
        self._wrapper.write(text, str, ending="")
        return len(text)

    def flush(self) -> None:
        """Flush what the wrapper has."""
        self._wrapper.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._wrapper.isatty()

    @property
    def encoding(self) -> str:
        """The encoding of the stream below; text streams without one take anything."""
        return getattr(self._wrapper, "encoding", None) or "utf-8"


class Terminal:
    """One of a command's streams, with a rich console on it."""

    def __init__(self, wrapper: OutputWrapper, options: Mapping[str, Any]) -> None:
        """``options`` are those of the command: ``no_color`` and ``force_color`` count."""
        self.stream = Stream(wrapper)
        self.is_tty = self.stream.isatty()
        is_coloured = options.get("force_color") or None
        self.console = Console(
            file=cast("IO[str]", self.stream),
            force_terminal=True if self.is_tty else is_coloured or False,
            no_color=True if options.get("no_color") else None,
            color_system="standard" if is_coloured and not self.is_tty else "auto",
            width=None if self.is_tty else _UNLIMITED,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self.is_unicode = self.can_show("".join(sign for sign, _, _ in _SIGNS.values()) + "━⠋")

    @property
    def width(self) -> int:
        """Columns, as many as there are now."""
        return self.console.width

    def can_show(self, text: str) -> bool:
        """Whether the stream's encoding has all of these characters."""
        try:
            text.encode(self.stream.encoding)
        except (LookupError, UnicodeEncodeError):
            return False
        return True

    def sign(self, status: str, beat: int = 0) -> str:
        """The sign of a status; what runs turns with the ``beat``."""
        if status == "running" and beat and self.is_unicode:
            return _SPINNER[beat % len(_SPINNER)]
        unicode, ascii_, _ = _SIGNS[status]
        return unicode if self.is_unicode else ascii_

    def mark(self, status: str) -> str:
        """A status as sign and word."""
        return f"{self.sign(status)} {status}"


def style_of(status: str) -> str:
    """The rich style of a status."""
    return _SIGNS[status][2]
