"""Where the keys of a step's input come from, as rows of the panel: a source each, and a path."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from pgflow_django.definitions.inputs import OF_MAPS, RUN
from pgflow_django.definitions.schema_paths import keys_of, list_paths
from pgflow_django.definitions.schema_views import View
from pgflow_django.definitions.schema_words import say_type
from pgflow_django.definitions.schemas import unescape_token
from pgflow_django.definitions.shape import function_of
from pgflow_django.definitions.typing_rules import Comparison
from pgflow_django.views.editor.forms import Typed
from pgflow_django.views.editor.functions import ANYTHING, Needed, is_given, output_of
from pgflow_django.views.editor.merging import INPUT, PATH
from pgflow_django.views.editor.picks import Pick, list_known_paths, list_picks
from pgflow_django.views.fields import id_of

if TYPE_CHECKING:
    from pgflow_django.views.editor.last_output import LastOutput
    from pgflow_django.views.editor.scene import Scene

#: Steps of a flow that are all offered; of a larger one those before the step.
MAX_OFFERED = 60
_MAX_PATHS = 40
_MAX_PARTS = 8
_MAX_WORDS = 60
#: Pairs of schemas that are compared for one panel.
_MAX_COMPARED = 20_000


@dataclass(frozen=True, slots=True)
class Offer:
    """A source that can be chosen, or the reason why it can't."""

    value: str
    word: str
    is_chosen: bool = False
    is_impossible: bool = False


@dataclass(slots=True)
class Row:
    """A key of a step's input: what it must be, and where it comes from."""

    needed: Needed
    head: str
    path: str
    given: str
    error: str = ""
    is_declared: bool = True
    missing: str = ""
    groups: list[tuple[str, list[Offer]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The key."""
        return self.needed.name

    @property
    def source(self) -> str:
        """The source as a document has it."""
        return f"{self.head}/{self.path}" if self.path else self.head

    @property
    def id(self) -> str:
        """The end of the ids of its control and of its error."""
        return id_of(f"{INPUT}{self.name}")

    @property
    def is_missing(self) -> bool:
        """Whether the function needs it and nothing gives it, as far as is known."""
        return bool(self.missing)

    @property
    def removal(self) -> str:
        """What a button posts that takes the row away."""
        return json.dumps({self.name: None})


def find_heads(scene: Scene, slugs: Collection[str]) -> list[str]:
    """The steps whose outputs are sources of these steps."""
    sources = [
        source for slug in slugs for source in (scene.rows[slug].get("inputs") or {}).values()
    ]
    heads = dict.fromkeys(source.partition("/")[0] for source in sources)
    return [head for head in heads if head in scene.rows]


def find_after(scene: Scene, slug: str) -> set[str]:
    """The steps that wait for this one, directly or not."""
    after, queue = set[str](), [slug]
    while queue:
        for other in scene.dependents[queue.pop()]:
            if other not in after:
                after.add(other)
                queue.append(other)
    return after


def find_before(scene: Scene, slug: str) -> set[str]:
    """The steps that this one waits for, directly or not."""
    before, queue = set[str](), [slug]
    while queue:
        for other in scene.depends_on[queue.pop()]:
            if other not in before:
                before.add(other)
                queue.append(other)
    return before


def find_given(scene: Scene, slug: str, head: str) -> View:
    """What is declared of what a source of a step begins with."""
    row = scene.rows[slug]
    run = View.of(scene.draft.document.get("input_schema"))
    if head == RUN:
        return run
    if row.get("type") == "map" and head in OF_MAPS:
        if head == "index":
            return View.of({"type": "integer"})
        above = scene.depends_on[slug]
        return (find_given(scene, slug, above[0]) if above else run).items()
    return output_of(scene.rows[head], scene.function_of(head)) if head in scene.rows else ANYTHING


class Sources:
    """The rows of one step's inputs."""

    def __init__(
        self,
        scene: Scene,
        slug: str,
        typed: Typed | None = None,
        outputs: Mapping[str, LastOutput] | None = None,
    ) -> None:
        self._scene, self._slug, self._typed = scene, slug, typed
        self._outputs = outputs or {}
        self._comparison = Comparison(_MAX_COMPARED)
        #: By what gives it, and by what is needed: many steps call the same functions.
        self._fitting: dict[tuple[str, str, str], list[str]] = {}
        row = scene.rows[slug]
        self._is_map = row.get("type") == "map"
        inputs = row.get("inputs")
        self._present: Mapping[str, str] = inputs if isinstance(inputs, dict) else {}

    def rows(self) -> list[Row]:
        """A row for each key that the function declares, or that has a source."""
        needs = [
            one
            for one in self._scene.function_of(self._slug).needs
            if not is_given(one.name, is_map=self._is_map)
        ]
        known = {one.name for one in needs}
        free = [Needed(name, "") for name in self._present if name not in known]
        return [self._make_row(one, is_declared=one.name in known) for one in [*needs, *free]]

    def offer(self, needed: Needed, chosen: str) -> list[tuple[str, list[Offer]]]:
        """The sources that a key can have, in named groups."""
        groups = []
        for title, heads in self._heads:
            offers = [one for head in heads for one in self._offer_head(head, needed, chosen)]
            if offers:
                groups.append((title, offers))
        offered = {one.value for _title, offers in groups for one in offers if one.is_chosen}
        if chosen and not offered:
            groups.insert(0, (_("Chosen"), [Offer(chosen, chosen, True)]))
        return groups

    def _make_row(self, needed: Needed, *, is_declared: bool) -> Row:
        source = self._present.get(needed.name, "")
        head, _slash, path = source.partition("/")
        error = ""
        if self._typed:
            head, path = self._read_typed(needed.name, head, path)
            error = self._typed.errors.get(f"{INPUT}{needed.name}", "")
        given = "" if head else self._find_giver(needed.name)
        return Row(
            needed,
            head,
            path,
            given,
            error,
            is_declared=is_declared,
            missing="" if head or given else self._tell_missing(needed),
            groups=self.offer(needed, f"{head}/{path}" if path else head),
            paths=self._list_paths(head) if head else [],
            picks=self._list_picks(needed.name, head),
        )

    def _read_typed(self, name: str, head: str, path: str) -> tuple[str, str]:
        assert self._typed  # noqa: S101 - the caller has asked
        post = self._typed.post
        head = str(post.get(f"{INPUT}{name}", head))
        head, slash, rest = head.partition("/")
        return head, str(post.get(f"{PATH}{name}", rest if slash else path))

    def _find_giver(self, name: str) -> str:
        """What gives a key that has no source, in words; ``""``: nothing that is known."""
        if not self._is_map and name in self._scene.depends_on[self._slug]:
            return _("%(step)s, by its name") % {"step": name}
        if name in keys_of(View.of(self._scene.draft.document.get("input_schema"))):
            return _("the run's input, by its name")
        return ""

    def _tell_missing(self, needed: Needed) -> str:
        """What is wrong with a key that nothing gives, if it is needed."""
        if not needed.is_required:
            return ""
        schema = self._scene.draft.document.get("input_schema")
        if isinstance(schema, dict) and schema.get("additionalProperties") is False:
            return _("Needed, and nothing gives it.")
        return _("Needed: nothing gives it, unless the run's input has it.")

    @cached_property
    def _heads(self) -> list[tuple[str, list[str]]]:
        return list(self._list_heads())

    def _list_heads(self) -> Iterator[tuple[str, list[str]]]:
        scene, slug = self._scene, self._slug
        direct = scene.depends_on[slug]
        yield _("It waits for"), list(direct)
        if not self._is_map:
            before, after = find_before(scene, slug), find_after(scene, slug)
            above = [one for one in reversed(scene.order) if one in before and one not in direct]
            yield _("Before these: adds a line"), above[:MAX_OFFERED]
            if len(scene.rows) <= MAX_OFFERED:
                rest = [one for one in scene.order if one not in before | after | {slug}]
                yield _("Other steps: adds a line"), rest
        yield _("The run"), [RUN]
        if self._is_map:
            yield _("The map"), list(OF_MAPS)

    def _offer_head(self, head: str, needed: Needed, chosen: str) -> Iterator[Offer]:
        """A source; where all of it can't be what is needed, the parts that can.

        Where none can, that is told of what the step gets anyway.
        """
        word = _("the run's input") if head == RUN else head
        is_chosen = chosen.partition("/")[0] == head
        paths = self._find_fitting(head, needed)
        for path in paths[:_MAX_PARTS]:
            if path:
                value = f"{head}/{path}"
                yield Offer(value, f"{word}/{path}", chosen == value)
            else:
                yield Offer(head, word, is_chosen)
        is_near = head not in self._scene.rows or head in self._scene.depends_on[self._slug]
        if not paths and is_near:
            given = shorten(find_given(self._scene, self._slug, head))
            reason = _("%(source)s gives %(type)s") % {"source": word, "type": given}
            yield Offer(head, reason, is_chosen, is_impossible=not is_chosen)

    def _find_fitting(self, head: str, needed: Needed) -> list[str]:
        """The paths into a source to what may fit: one to all of it, or those to its parts."""
        row = self._scene.rows.get(head, {})
        kind = str(row.get("type", "single")) if row else ""
        key = (function_of(row) if row else head, kind, needed.name)
        if key not in self._fitting:
            given = find_given(self._scene, self._slug, head)
            paths = [""]
            if not self._may_fit(given, needed):
                listed = islice(list_paths(given, into_lists=False), _MAX_PATHS)
                paths = [one for one in listed if self._may_fit(given.follow(_tokens(one)), needed)]
            self._fitting[key] = paths
        return self._fitting[key]

    def _may_fit(self, given: View, needed: Needed) -> bool:
        return self._comparison.fits(given, needed.accepted) != "no"

    def _list_paths(self, head: str) -> list[str]:
        """What can stand behind a source: what is declared, and what the newest run has."""
        declared = islice(list_paths(find_given(self._scene, self._slug, head)), _MAX_PATHS)
        known = list_known_paths(self._outputs[head].value) if head in self._outputs else []
        return list(dict.fromkeys([*declared, *known]))

    def _list_picks(self, name: str, head: str) -> list[Pick]:
        output = self._outputs.get(head)
        return list_picks(name, head, output.value) if output and output.text else []


def shorten(view: View) -> str:
    """A type in words, as far as an option has room."""
    words = say_type(view.schema, view.root)
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}…"


def _tokens(path: str) -> list[str]:
    return [unescape_token(token) for token in path.split("/")]
