"""Which versions of a flow can be compared, as a form offers them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.views.fields import Choice

if TYPE_CHECKING:
    from django.http import QueryDict

    from pgflow_django.drafts import Draft
    from pgflow_django.drafts.versions import Which

DRAFT = "draft"
#: Versions that the form offers, the newest ones; an address may name older ones.
_OFFERED = 200


class Versions:
    """The versions of a flow, by their names in addresses: numbers, and ``draft``."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    @cached_property
    def names(self) -> list[str]:
        """What there is to choose from, the newest first."""
        numbers = [str(number) for number in drafts.list_versions(self.draft.slug)[:_OFFERED]]
        return numbers if self.draft.is_read_only else [DRAFT, *numbers]

    @cached_property
    def last_change(self) -> tuple[str, str]:
        """The last one and what came before it, that first."""
        differ = [name for name in self.names if name != DRAFT or self.draft.has_changes] or [DRAFT]
        return differ[:2][-1], differ[0]

    def choose(self, query: QueryDict) -> tuple[str, str]:
        """The two that a request asks for; by default the last change."""
        before, after = self.last_change
        return query.get("from") or before, query.get("to") or after

    def offer(self, *pair: str) -> dict[str, list[Choice]]:
        """The choices of the form's two fields; none where there is only one version."""
        if len(self.names) < 2:
            return {}
        offered = {}
        for field, wanted, usual in zip(("from", "to"), pair, self.last_change, strict=True):
            chosen = wanted if wanted in self.names else usual
            offered[field] = [
                Choice(name, self._describe(name), name == chosen) for name in self.names
            ]
        return offered

    def _describe(self, name: str) -> str:
        if name == str(self.draft.published_version):
            return _("version %(version)s, published now") % {"version": name}
        return say_version(name)


def read_version(name: str) -> Which:
    """What a name stands for; other texts are passed on, to be refused."""
    is_number = name.isascii() and name.isdecimal() and len(name) < 10
    value: Any = int(name) if is_number else name
    return value  # type: ignore[no-any-return]


def say_version(name: str) -> str:
    """A version in a sentence."""
    return _("the draft") if name == DRAFT else _("version %(version)s") % {"version": name}
