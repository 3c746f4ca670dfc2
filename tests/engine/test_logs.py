"""Log records: which run, step, task and attempt they are about."""

from __future__ import annotations

import io
import logging
import logging.config
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from pgflow_django import PermanentFailure, RunFailed, executor
from pgflow_django.logs import FIELDS, RunContextFilter
from pgflow_django.models import WorkflowRunEvent
from tests.commands.calling import environment
from tests.documentation import DOCS, read_blocks
from tests.engine.building import build
from tests.engine.doors import Door
from tests.waiting import wait_until

site = logging.getLogger("a_site_of_its_own")


class Keeping(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What reaches a handler of the root logger that has the filter."""
    handler = Keeping()
    handler.addFilter(RunContextFilter())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.records
    root.removeHandler(handler)
    root.setLevel(level)


def facts(record: logging.LogRecord) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in FIELDS)


def of(records: list[logging.LogRecord], logger: str) -> list[logging.LogRecord]:
    return [record for record in records if record.name == logger]


def test_records_of_the_site_tell_the_attempt_that_they_come_from(
    door: Door, records: list[logging.LogRecord]
) -> None:
    build("flow", {"each*": [], "last": ["each"]}, max_attempts=2)

    def each(input: dict[str, Any], context: Any) -> None:
        site.info("in %s", input["item"])
        if context.attempt == 1 and input["item"] == "b":
            raise ValueError("again")

    run = door.run("flow", ["a", "b"], {"each": each, "last": lambda i: site.info("at last")})
    site.info("outside")
    found = {(r.getMessage(), *facts(r)) for r in of(records, site.name)}
    here = (str(run.id), "flow")
    assert found == {
        ("in a", *here, "each", 0, 1),
        ("in b", *here, "each", 1, 1),
        ("in b", *here, "each", 1, 2),
        ("at last", *here, "last", 0, 1),
        ("outside", "-", "-", "-", "-", "-"),
    }


def test_failed_attempts_are_logged_with_their_traceback(
    door: Door, records: list[logging.LogRecord]
) -> None:
    build("flow", {"a": []}, max_attempts=2)

    def fail(input: dict[str, Any]) -> None:
        raise ValueError("no luck")

    run = door.run("flow", {}, {"a": fail})
    first, last = of(records, "pgflow_django.steps")
    assert (first.levelname, last.levelname) == ("INFO", "ERROR")
    assert first.getMessage() == "flow.a[0] attempt 1 of 2 failed: ValueError: no luck"
    assert facts(last) == (str(run.id), "flow", "a", 0, 2)
    text = logging.Formatter().format(last)
    assert "in fail\n" in text
    assert "invoke.py" not in text


def test_an_attempt_that_gives_up_is_an_error_at_once(records: list[logging.LogRecord]) -> None:
    build("flow", {"a": []}, max_attempts=5)

    def give_up(input: dict[str, Any]) -> None:
        raise PermanentFailure("never")

    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": give_up})
    (record,) = of(records, "pgflow_django.steps")
    assert record.levelname == "ERROR"


def test_a_timeout_is_logged_as_a_failed_attempt(records: list[logging.LogRecord]) -> None:
    build("flow", {"a": []}, max_attempts=1, timeout=1)

    def wait(input: dict[str, Any]) -> None:
        wait_until(lambda: False)

    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": wait})
    (record,) = of(records, "pgflow_django.steps")
    assert "StepTimeout" in record.getMessage()
    assert facts(record)[1:] == ("flow", "a", 0, 1)


def test_what_a_step_logs_through_its_context(records: list[logging.LogRecord]) -> None:
    build("flow", {"a": []})
    executor.execute_dynamic(
        "flow", {}, {"a": lambda i, context: context.log("here", "error", n=1)}
    )
    (record,) = of(records, "pgflow_django.steps")
    event = WorkflowRunEvent.objects.get()
    assert (record.levelname, record.getMessage()) == ("ERROR", "flow.a[0] attempt 1: here")
    assert facts(record) == (str(event.run_id), "flow", "a", 0, 1)
    assert (event.message, event.level, event.data) == ("here", "error", {"attempt": 1, "n": 1})


def test_a_record_keeps_what_it_brings_itself(records: list[logging.LogRecord]) -> None:
    build("flow", {"a": []})
    extra = {"run_id": "of another run"}
    executor.execute_dynamic("flow", {}, {"a": lambda i: site.info("look", extra=extra)})
    (record,) = of(records, site.name)
    assert facts(record)[0] == "of another run"
    assert facts(record)[2] == "a"


def test_an_async_step_and_a_thread_with_its_context(records: list[logging.LogRecord]) -> None:
    build("flow", {"a": [], "b": []})

    async def a(input: dict[str, Any]) -> None:
        site.info("async")

    def b(input: dict[str, Any]) -> None:
        context = copy_context()
        for target in (lambda: site.info("bare"), lambda: context.run(site.info, "carried")):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    executor.execute_dynamic("flow", {}, {"a": a, "b": b})
    steps = {record.getMessage(): facts(record)[2] for record in of(records, site.name)}
    assert steps == {"async": "a", "bare": "-", "carried": "b"}


def test_what_is_empty_may_be_chosen() -> None:
    record = logging.makeLogRecord({"msg": "x"})
    assert RunContextFilter(empty=None).filter(record)
    assert facts(record) == (None,) * 5


def test_the_example_of_the_documentation_works() -> None:
    (example,) = (b for b in read_blocks(DOCS / "logging.md") if b.text.startswith("LOGGING = "))
    namespace: dict[str, Any] = {}
    exec(example.text, namespace)  # noqa: S102 - our own documentation
    stream = io.StringIO()
    namespace["LOGGING"]["handlers"]["console"]["stream"] = stream
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logging.config.dictConfig(namespace["LOGGING"])
        build("flow", {"a": []})
        ids: list[Any] = []
        functions = {"a": lambda i: site.info("from the step")}
        executor.execute_dynamic("flow", {}, functions, on_start=ids.append)
        site.info("from outside")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert stream.getvalue().splitlines() == [
        f"INFO {site.name} [{ids[0]} a] from the step",
        f"INFO {site.name} [- -] from outside",
    ]


def test_django_can_set_the_filter_up_before_it_knows_the_models() -> None:
    code = (
        "import logging, django\n"
        "from django.conf import settings\n"
        "settings.LOGGING = {'version': 1, 'filters': {'run': "
        "{'()': 'pgflow_django.logs.RunContextFilter'}}, 'handlers': {'all': "
        "{'class': 'logging.StreamHandler', 'filters': ['run']}}, 'root': {'handlers': ['all']}}\n"
        "django.setup()\n"
        "assert logging.getLogger().handlers[0].filters\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment())


def test_a_site_that_has_not_configured_logging_finds_nothing_on_stderr() -> None:
    code = (
        "import django; django.setup()\n"
        "import logging, pgflow_django.executor\n"
        "logging.getLogger('pgflow_django.steps').error('nobody has asked for this')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment(), capture_output=True
    )
    assert done.stderr == b""
