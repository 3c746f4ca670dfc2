"""Requests that nobody means, to every address that the admin has for our models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any
from urllib.parse import quote, urlencode

from pgflow_django.definitions.edits.operations import OPERATIONS as EDITS
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS
from pgflow_django.views.urls import FLOW_PAGES, RUN_PAGES, WORKER_PAGES, Address
from tests.views.conftest import address

#: What a field, a part of an address or a parameter may hold, and no page expects.
TEXTS = (
    *("", " ", "\0", "fetch\0", "\ud800", "\r\nX-Bad: 1", "\u202eabc", "\N{GRINNING FACE}" * 40),
    *("x" * 300, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 200, "a/b/c", "../../x", "a.b", "%", "%s"),
    *("'\";--", "<script>", "{{ 1 }}", "null", "true", "[]", "{}", '{"a": [1', "[" * 2000),
    *("-1", "0", "1.5", "--5", "1e400", "NaN", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 19),
    "9" * 5000,
)
#: The same in an address, with bytes that are no UTF-8.
SPELLINGS = (
    *(quote(text, safe="/", errors="surrogatepass") for text in TEXTS[2:]),
    *("%ff%fe", "a%00b", "_5F_00", "_5F", ".", "..", "numbers%2f..", "%2e%2e/%2e%2e"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")
#: What Django's admin has below the address of a model, or could have.
INHERITED = ("", "change/", "history/", "delete/", "add/", "password/", "change/x/", "edit/x/")

#: The parameters of lists, of pages that are not named below, and of those that are.
_LIST = ("q", "p", "o", "all", "e", "_facets", "_popup", "_to_field", "_changelist_filters")
_OTHERS = ("step", "q", "from", "to", "slug")
_TASKS = [
    f"tab=tasks&{name}" for name in ("status", "index", "sort", "like", "from", "before", "place")
]
_LOG = [f"tab=log&{name}" for name in ("show", "q", "before")]
_LOG += [f"tab=data&{name}" for name in ("which", "at", "from")]
_LINES = ("show", "step", "index", "q", "before", "after")
QUERIES: Mapping[str, Sequence[str]] = {
    "workflow_changelist": (*_LIST, "last", "on", "origin", "origin__in", "pk__in"),
    "workflowrun_changelist": (*_LIST, "state", "flow", "input__a", "id__exact"),
    "workflowworker_changelist": ("q", "p", "o", "functions__contains"),
    "workflow_add": ("_changelist_filters", "workflow_slug"),
    "workflow_new": ("begin", "from"),
    "workflow_edit": ("view", "step"),
    "workflow_panel": ("view", "step"),
    "workflow_canvas": ("view",),
    "workflow_trial": ("since", "version", "view", "step"),
    "workflow_run": ("mode", "from"),
    "workflow_delete": ("_popup", "_to_field"),
    "workflowrun_change": ("tall", "step", "tab", "tab=tasks&step", *_TASKS, *_LOG),
    "workflowrun_log": _LINES,
    "workflowrun_live": ("since", "step", "tall"),
    "workflowrun_step": ("step",),
}
#: What each operation of the editor reads, beside ``version``, ``view`` and ``selected``.
_STEP = ("step", "slug", "depends_on", *STEP_KEYS)
OPERATIONS: Mapping[str, Sequence[str]] = {
    **{op: tuple(signature(edit).parameters)[1:] for op, edit in EDITS.items()},
    "add_step": ("slug", "uses", "type", "depends_on"),
    "update_step": _STEP,
    "save_step": (*_STEP, "input-rows", "path-rows", "param-by"),
    "save_inputs": ("step", "set", "new-input", "new-source"),
    "rename_step": ("step", "to"),
    "delete_step": ("step", "next"),
    "add_edge": ("source", "target"),
    "delete_edge": ("source", "target"),
    "insert_on_edge": ("source", "target", "slug", "uses", "type"),
    "duplicate": ("step",),
    "set_flow": tuple(FLOW_KEYS),
    "save_flow": tuple(FLOW_KEYS),
    "undo": (),
    "redo": (),
    "restore": ("seq",),
    "discard": (),
    "fix": ("fix", "arguments"),
}
USUAL = dict(
    zip(
        ("step", "slug", "type", "to", "seq", "source", "target", "fix", "arguments"),
        ("fetch", "more", "single", "other", "0", "fetch", "double", "patch", "{}"),
        strict=True,
    )
)
#: Headers that a page of ours, or Django for it, reads.
HEADERS: Mapping[str, Sequence[str]] = {
    "HX-Request": ("true", "false", "x" * 300, "\xff"),
    "HX-Current-URL": (
        *("http://[", "http://testserver:x/", "//evil.example/", "javascript:alert(1)", "\xff"),
        *("http://testserver/admin/?next=%00", "x" * 3000, "http://testserver/\\evil", "?", "#"),
    ),
    "HX-Target": ("", "\xff", "#" * 300),
    "HX-Trigger-Name": ("", "\xff"),
    "HX-Boosted": ("true",),
    "Content-Type": (
        *("", "/", "application/json", "text/plain", "multipart/form-data", "\xff", "a" * 300),
        *("multipart/form-data; boundary=\xff", "multipart/form-data; boundary=", "x; charset=x"),
        "application/x-www-form-urlencoded; charset=utf-16",
        "multipart/form-data; boundary=b; charset=utf-16",
    ),
    "Content-Length": ("-1", "", "0"),  # servers refuse what is no number
    "Content-Encoding": ("gzip",),
    "If-None-Match": ("", '"', "*", "W/", "\xff", "x" * 3000),
    "If-Match": ("", '"', "*"),
    "If-Modified-Since": ("", "yesterday", "Thu, 99 Foo 0000 99:99:99 GMT"),
    "If-Unmodified-Since": ("", "yesterday", "Mon, 01 Jan 99999 00:00:00 GMT"),
    "Range": ("bytes=9-1", "x"),
    "Accept": ("", "*", "\xff", "a/b;q=x"),
    "Accept-Language": ("", "*", "xx-yy", "\xff", "de;q=9", "-" * 600, ",".join(["en"] * 300)),
    "Accept-Encoding": ("", "gzip;q=x", "\xff"),
    "Referer": ("", "http://[", "\xff", "//", "x" * 3000, "http://testserver:x/"),
    "Origin": ("null", "http://[", "\xff"),
    "Host": ("", "evil.example", "[", "testserver:x", "\xff", "a" * 300),
    "X-CSRFToken": ("", "\xff", "x" * 3000),
    "X-Requested-With": ("XMLHttpRequest", "\xff"),
    "Authorization": ("Basic \xff",),
}
COOKIES = ("pgf_view", "messages", "csrftoken", "django_language", "x" * 100)
#: Values of cookies as a header holds them.
COOKIE_TEXTS = (
    *("", "=", '"', '"\\000"', '"\\377"', "\xff", "x" * 3000, "[]", "{", "TB.1x1"),
    *("LR.99999999x1", "TB.\xd9\xa3\xd9\xa3x99", "TB.600x900; pgf_view=TB.600x900"),
)
BODIES = (
    *(b"", b"\0", b"\xff=\xfe", b"&&&", b"=", b"a=%", b"%00=%00", b"a=1&" * 1500, b"--b\r\n"),
    *(b'{"op": 1}', b"\x1f\x8b\0\0", b"x" * 3_000_000),
)


@dataclass(frozen=True)
class Ask:
    """A request: ``data`` is a form's fields, or a body as it is."""

    method: str
    path: str
    data: Mapping[str, Any] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: str = ""
    is_anonymous: bool = False

    def __str__(self) -> str:
        data = self.data if isinstance(self.data, bytes) else dict(self.data)
        around = f"{dict(self.headers)!r:.200} {self.cookies[:200]!r}"
        return f"{self.method} {self.path[:200]} {data!r:.200} {around}"


class Addresses:
    """All that there is to ask of a flow ``numbers`` with a run, in parts."""

    PARTS = (
        *("spelled", "inherited", "methods", "queries", "tools", "operations", "forms", "imports"),
        *("actions", "headers", "cookies", "bodies"),
    )

    def __init__(self, run: Any, version: int) -> None:
        self.run = run
        self.version = version

    def ask(self, part: str) -> Iterator[Ask]:
        """All requests of a part."""
        asks: Iterator[Ask] = getattr(self, part)()
        return asks

    # ---- addresses ----

    def pages(self) -> list[tuple[str, Address]]:
        """Our own pages, with the models whose they are."""
        tables = {"workflow": FLOW_PAGES, "workflowrun": RUN_PAGES, "workflowworker": WORKER_PAGES}
        return [(model, page) for model, table in tables.items() for page in table]

    def path_of(self, model: str, page: Address) -> str:
        """The address of a page of what there is."""
        values = {"slug": "numbers", "run_id": self.run.pk, "seq": 0, "which": "input"}
        values |= {"step": "fetch", "index": 0}
        known = [value for name, value in values.items() if f":{name}>" in page.route]
        return address(f"{model}_{page.name}", *known)

    def paths(self) -> list[str]:
        """All addresses of pages, and those of the lists."""
        own = [self.path_of(model, page) for model, page in self.pages()]
        lists = [address(name) for name in ("workflow_changelist", "workflowrun_changelist")]
        return [*own, *lists, address("workflow_add")]

    def spelled(self) -> Iterator[Ask]:
        """Each page with each part of its address spelled badly."""
        for spelling in SPELLINGS:
            for path in self.paths():
                for known in ("/numbers/", f"/{self.run.pk}/", "/0/", "/input."):
                    if known not in path:
                        continue
                    bad = path.replace(known, f"/{spelling}{known[-1]}")
                    for method in METHODS[:3]:
                        yield Ask(method, bad, {"post": "yes"})

    def inherited(self) -> Iterator[Ask]:
        """What Django has, or could have, for each of the models."""
        for end in INHERITED:
            for spelling in (*SPELLINGS, "numbers", str(self.run.pk)):
                for model in ("workflow", "workflowrun", "workflowworker"):
                    path = f"/admin/pgflow_django/{model}/{spelling}/{end}"
                    for method in METHODS[:3]:
                        yield Ask(method, path, {"post": "yes"})

    def methods(self) -> Iterator[Ask]:
        """Each page by each method."""
        for path in self.paths():
            for method in METHODS:
                yield Ask(method, path)

    def queries(self) -> Iterator[Ask]:
        """Each page with each of its parameters, and with those that nobody named."""
        paths = {f"{model}_{page.name}": self.path_of(model, page) for model, page in self.pages()}
        paths |= {name: address(name) for name in QUERIES if name not in paths}
        for name, path in paths.items():
            for spelling in (*SPELLINGS, ""):
                for parameter in (*QUERIES.get(name, _OTHERS), "\0", "\ud800"):
                    key = quote(parameter, safe="&=", errors="surrogatepass")
                    yield Ask("GET", f"{path}?{key}={spelling}")
                yield Ask("GET", f"{path}?{spelling}")

    def tools(self) -> Iterator[Ask]:
        """What Django's admin has beside the pages of a model, asked about ours."""
        values = {"app_label": "pgflow_django", "model_name": "workflow", "field_name": "steps"}
        for text in TEXTS:
            for name in ("term", *values):
                query = urlencode({**values, name: text}, errors="surrogatepass")
                yield Ask("GET", f"/admin/autocomplete/?{query}")
        for spelling in SPELLINGS:
            yield Ask("GET", f"/admin/{spelling}/")
            yield Ask("GET", f"/admin/pgflow_django/{spelling}/")
            yield Ask("GET", f"/admin/login/?next={spelling}")
            yield Ask("GET", f"/admin/jsi18n/?{spelling}")

    # ---- what is posted ----

    def operations(self) -> Iterator[Ask]:
        """Each operation of the editor with each of its fields, with htmx and without."""
        path = address("workflow_op", "numbers")
        common = ("version", "view", "selected", "op")
        for op, fields in OPERATIONS.items():
            usual = {key: value for key, value in USUAL.items() if key in fields}
            usual |= {"op": op, "version": str(self.version)}
            for text in TEXTS:
                for name in (*fields, *common):
                    for headers in ({"HX-Request": "true"}, {}):
                        yield Ask("POST", path, {**usual, name: text}, headers)
            for name in (*fields, *common):
                rest = {key: value for key, value in usual.items() if key != name}
                yield Ask("POST", path, rest)
                yield Ask("POST", path, {**usual, name: ["fetch", "\0", "fetch"]})
        for end in ("publish", "validate", "presence"):
            for text in TEXTS:
                for name in common:
                    yield Ask("POST", address(f"workflow_{end}", "numbers"), {name: text})

    def forms(self) -> Iterator[Ask]:
        """The other forms: a new flow, an import, a run's input, deleting, cancelling, retrying."""
        document = json.dumps({"workflow_slug": "fresh", "steps": [{"slug": "fetch"}]})
        run, asking = address("workflow_run", "numbers"), address("workflow_run", "asking")
        fields = ("text", "count", "ratio", "flag", "day", "pick", "many", "extra")
        imported = ("text", "confirm", "file")
        forms: list[tuple[str, dict[str, str], Sequence[str]]] = [
            (address("workflow_new"), {"name": "fresh"}, ("name", "begin", "from")),
            (run, {"mode": "json", "input": "{}"}, ("input", "token", "publish")),
            (run, {"mode": "form"}, ("mode", "token")),
            (asking, {"mode": "form", "f-count": "1"}, [f"f-{name}" for name in fields]),
            (asking, {"mode": "json"}, ["input"]),
            (address("workflow_delete", "numbers"), {"post": "yes"}, ("post", "_popup")),
            (address("workflowrun_cancel", self.run.pk), {}, ("reason",)),
            (address("workflowrun_retry", self.run.pk), {}, ("reason",)),
            (address("workflow_import_new"), {"text": document}, imported),
            (address("workflow_import", "numbers"), {"text": document}, imported),
        ]
        for path, usual, names in forms:
            for text in TEXTS:
                for name in (*names, "\0"):
                    yield Ask("POST", path, {**usual, name: text})

    def imports(self) -> Iterator[Ask]:
        """Documents with a value of each kind in place of each of theirs."""
        texts = ["\0", "\ud800", "x" * 300, ""]
        values: list[Any] = [*texts, None, True, 0, -1, 1.5, 10**30, [], {}, [[]], {"a": 1}]
        usual = {"workflow_slug": "fresh", "steps": [{"slug": "one"}]}
        documents: list[Any] = [*values, *({"steps": [value, value]} for value in values)]
        for name in ("workflow_slug", "steps", "unknown", *FLOW_KEYS):
            documents += [{**usual, name: value} for value in values]
        for name in ("slug", "depends_on", "unknown", *STEP_KEYS):
            steps = [{"slug": "one", "type": "map", name: value} for value in values]
            documents += [{**usual, "steps": [step]} for step in steps]
        for document in documents:
            for path in (address("workflow_import_new"), address("workflow_import", "numbers")):
                yield Ask("POST", path, {"text": json.dumps(document)})

    def actions(self) -> Iterator[Ask]:
        """The actions of lists, with what can be no row of them."""
        actions = ("switch_on", "switch_off", "export", "delete_selected", "unknown", "\0", "")
        for model in ("workflow", "workflowrun"):
            path = address(f"{model}_changelist")
            for action in actions:
                for text in (*TEXTS, "numbers", str(self.run.pk)):
                    data = {"action": action, "_selected_action": [text, "numbers"], "index": "0"}
                    yield Ask("POST", path, data)
                    yield Ask("POST", path, {**data, "post": "yes"})
                    yield Ask("POST", path, {**data, "index": text, "select_across": text})
            for text in TEXTS:
                form = {"form-TOTAL_FORMS": text, "form-INITIAL_FORMS": text, "form-0-id": text}
                yield Ask("POST", path, {**form, "_save": "1"})

    # ---- around it ----

    def headers(self) -> Iterator[Ask]:
        """Each page with each header, and with what is read where the session has ended."""
        for path in self.paths():
            for name, values in HEADERS.items():
                for value in values:
                    yield Ask("GET", path, {}, {name: value})
                    yield Ask("POST", path, {}, {name: value, "HX-Request": "true"})
            for name in ("HX-Current-URL", "Referer"):
                for value in HEADERS[name]:
                    headers = {name: value, "HX-Request": "true" if name.startswith("HX") else ""}
                    yield Ask("GET", path, {}, headers, is_anonymous=True)
                    yield Ask("POST", path, {}, headers, is_anonymous=True)

    def cookies(self) -> Iterator[Ask]:
        """Each page with each cookie."""
        for path in self.paths():
            for name in COOKIES:
                for text in COOKIE_TEXTS:
                    yield Ask("GET", path, cookies=f"{name}={text}")

    def bodies(self) -> Iterator[Ask]:
        """Each page with bodies that are no form."""
        form = "application/x-www-form-urlencoded"
        for path in self.paths():
            for body in BODIES:
                for kind in (form, "multipart/form-data; boundary=b", "application/json"):
                    yield Ask("POST", path, body, {"Content-Type": kind})
