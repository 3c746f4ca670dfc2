"""Which program made an edit or started a run, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

#: Characters of what a program says of itself that pages show.
_SHOWN = 200


def name_doors() -> dict[str, str]:
    """The words for the doors by which programs and people come."""
    return {
        "mcp": _("MCP"),
        "http": _("HTTP"),
        "stdio": _("stdio"),
        "generate": _("a description in words"),
        "editor": _("the editor"),
        "admin": _("the admin"),
        "command": _("a command"),
    }


@dataclass(frozen=True, slots=True)
class Program:
    """A program as pages tell of it; ``client`` and ``model`` are what it says itself."""

    user: str
    door: str
    token: str = ""
    client: str = ""
    model: str = ""
    prompt: str = ""
    edits: int = 1


def read_program(provenance: Mapping[str, Any], edits: int = 1) -> Program:
    """What the provenance of an edit says."""

    def get(key: str) -> str:
        value = provenance.get(key)
        return value[:_SHOWN] if isinstance(value, str) else ""

    via = get("via")
    door = name_doors().get(via, via)
    texts = (get("token"), get("client"), get("model"), get("prompt_sha256"))
    return Program(get("by"), door, *texts, edits)


def list_programs(made: Iterable[Mapping[str, Any] | None]) -> list[Program]:
    """The programs that made these edits, each once, the one with the most edits first."""
    counts = Counter(read_program(one) for one in made if one)
    return [
        Program(one.user, one.door, one.token, one.client, one.model, one.prompt, edits)
        for one, edits in counts.most_common()
    ]


def name_starter(name: str, via: str) -> str:
    """Who started a run, and by which door; ``""`` where code did."""
    return " · ".join(filter(None, (name, name_doors().get(via, via))))
