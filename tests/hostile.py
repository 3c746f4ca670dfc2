"""Hostile step functions: what they leave, raise, return, log or do to their process.

A table for every way in which steps run; see ``tests/engine/test_hostile.py``.
"""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import itertools
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import Error, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy
from psycopg import RawCursor
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from pgflow_django import PermanentFailure, RetryAfter
from pgflow_django.exceptions import ContractBroken, StepInterrupted
from pgflow_django.models import Workflow
from pgflow_django.registry import registry

#: What a step writes that must not be kept.
MARK = "written_by_a_hostile_step"
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("hostile", default="as before")
_kept: list[Any] = []  # so that nothing is closed by the collector
_kept_for_ever: list[Any] = []  # what would tell on stderr that it is closed too late

_is_over = threading.Event()  # for what goes on when its step has ended


@dataclass(frozen=True)
class Hostile:
    """A step function, and how its attempt ends: ``fails`` names the error's type.

    ``ends_transaction``: inside a caller's transaction it ends that, and nothing can be kept of it.
    """

    function: Callable[..., Any]
    fails: str | None = None
    atomic: bool = False
    ends_transaction: bool = False

    @property
    def name(self) -> str:
        return self.function.__name__


TABLE: dict[str, Hostile] = {}


def hostile(
    fails: str | None = None, *, atomic: bool = False, ends_transaction: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        TABLE[function.__name__] = Hostile(function, fails, atomic, ends_transaction)
        return function

    return add


def register_all() -> None:
    """Register them as ``hostile.<name>``."""
    for name, one in TABLE.items():
        registry.unregister(f"hostile.{name}")
        registry.register(one.function, f"hostile.{name}", atomic=one.atomic)


def run_sql(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)


def write() -> None:
    Workflow.objects.create(workflow_slug=MARK)


# Transactions.

LEFT = "TransactionMisused"


@hostile(LEFT)
def leaves_atomic_entered(input: Any) -> int:
    transaction.atomic().__enter__()
    return 1


@hostile(LEFT)
def writes_in_an_atomic_that_it_leaves_entered(input: Any) -> int:
    transaction.atomic().__enter__()
    write()
    return 1


@hostile(LEFT)
def leaves_two_atomics_entered(input: Any) -> int:
    stack = ExitStack()
    stack.enter_context(transaction.atomic())
    stack.enter_context(transaction.atomic())
    _kept_for_ever.append(stack)
    write()
    return 1


@hostile(LEFT)
def leaves_a_generator_inside_atomic(input: Any) -> int:
    def rows() -> Iterator[int]:
        with transaction.atomic():
            write()
            yield 1
            yield 2

    _kept_for_ever.append(generator := rows())
    return next(generator)


@hostile("ValueError")
def raises_inside_an_atomic_that_it_leaves_entered(input: Any) -> int:
    transaction.atomic().__enter__()
    write()
    raise ValueError("as well")


@hostile(LEFT, atomic=True)
def atomic_leaves_atomic_entered(input: Any) -> int:
    transaction.atomic().__enter__()
    write()
    return 1


@hostile(LEFT, atomic=True)
def atomic_swallows_an_integrity_error(input: Any) -> int:
    write()
    with suppress(IntegrityError):
        Workflow.objects.create(workflow_slug=MARK)
    return 1


@hostile(LEFT, atomic=True)
def atomic_swallows_a_value_error(input: Any) -> int:
    write()
    with suppress(ValueError, Error):
        Workflow.objects.create(workflow_slug="a\0b")
    return 1


@hostile(LEFT, atomic=True)
def atomic_swallows_an_error_of_raw_sql(input: Any) -> int:
    write()
    with suppress(Error):
        run_sql("select 1/0")
    return 1


@hostile(LEFT, atomic=True)
def atomic_swallows_an_error_and_clears_the_mark(input: Any) -> int:
    write()
    with suppress(Error):
        run_sql("select 1/0")
    transaction.set_rollback(False)
    return 1


@hostile(LEFT, atomic=True)
def atomic_marks_its_rollback(input: Any) -> int:
    write()
    transaction.set_rollback(True)
    return 1


@hostile(LEFT, atomic=True, ends_transaction=True)
def atomic_commits_by_sql(input: Any) -> int:
    run_sql("select 1")
    run_sql("commit")
    return 1


@hostile(LEFT, atomic=True, ends_transaction=True)
def atomic_rolls_back_by_sql(input: Any) -> int:
    write()
    run_sql("rollback")
    return 1


@hostile(LEFT, atomic=True, ends_transaction=True)
def atomic_closes_its_connection(input: Any) -> int:
    write()
    connection.close()
    return 1


@hostile(LEFT, atomic=True, ends_transaction=True)
def atomic_leaves_a_block_that_is_not_its_own(input: Any) -> int:
    run_sql("select 1")
    connection.atomic_blocks[-1].__exit__(None, None, None)
    return 1


@hostile(ends_transaction=True)
def begins_by_sql(input: Any) -> int:
    run_sql("begin")
    return 1


@hostile(ends_transaction=True)
def switches_autocommit_off(input: Any) -> int:
    transaction.set_autocommit(False)
    run_sql("select 1")
    return 1


# Sessions.


@hostile()
def sets_the_search_path(input: Any) -> int:
    run_sql("set search_path to nowhere")
    return 1


@hostile()
def sets_the_search_path_by_a_function(input: Any) -> int:
    run_sql("select set_config('search_path', 'nowhere', false)")
    return 1


@hostile()
def sets_the_search_path_behind_django(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.execute("set search_path to nowhere")
    return 1


@hostile()
def sets_a_role(input: Any) -> int:
    run_sql("set role pg_read_all_data")
    return 1


@hostile()
def becomes_read_only(input: Any) -> int:
    run_sql("set default_transaction_read_only = on")
    return 1


@hostile()
def allows_no_statement_any_time(input: Any) -> int:
    run_sql("set statement_timeout = 1")
    return 1


@hostile()
def sets_the_characteristics_of_its_session(input: Any) -> int:
    run_sql("set session characteristics as transaction isolation level serializable")
    return 1


@hostile()
def sets_a_setting_of_its_own(input: Any) -> int:
    run_sql("set hostile.tenant = 'somebody'")
    return 1


@hostile()
def sets_in_a_do_block(input: Any) -> int:
    run_sql("do $$ begin set session_replication_role = 'replica'; end $$")
    return 1


@hostile()
def leaves_a_temporary_table(input: Any) -> int:
    run_sql("create temp table hostile_leftover (x int)")
    return 1


@hostile()
def leaves_an_advisory_lock(input: Any) -> int:
    run_sql("select pg_advisory_lock(424242)")
    return 1


@hostile()
def leaves_a_channel(input: Any) -> int:
    run_sql("listen hostile")
    return 1


@hostile()
def leaves_a_cursor_with_hold(input: Any) -> int:
    run_sql("declare hostile_cursor cursor with hold for select 1")
    return 1


@hostile()
def leaves_an_iterator_unfinished(input: Any) -> int:
    _kept.append(rows := Workflow.objects.iterator(chunk_size=1))
    next(rows, None)
    return 1


@hostile(ends_transaction=True)
def leaves_a_stream_unfinished(input: Any) -> int:
    connection.ensure_connection()
    cursor = connection.connection.cursor()
    _kept.append(rows := cursor.stream("select * from generate_series(1, 100000)"))
    next(rows)
    return 1


@hostile(ends_transaction=True)
def leaves_a_pipeline_open(input: Any) -> int:
    connection.ensure_connection()
    _kept.append(pipeline := connection.connection.pipeline())
    pipeline.__enter__()
    connection.connection.execute("select 1")
    return 1


@hostile()
def leaves_an_execute_wrapper(input: Any) -> int:
    def refuse(*_: Any) -> None:
        raise RuntimeError("the wrapper of a step that has ended")

    connection.execute_wrappers.append(refuse)
    return 1


@hostile(ends_transaction=True)
def closes_its_connection(input: Any) -> int:
    connection.close()
    return 1


@hostile(ends_transaction=True)
def closes_the_driver_s_connection(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.close()
    return 1


@hostile(ends_transaction=True)
def closes_the_wire(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.pgconn.finish()
    return 1


@hostile()
def has_rows_read_as_dicts(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.row_factory = dict_row
    return 1


@hostile()
def has_cursors_of_another_kind(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.cursor_factory = RawCursor
    return 1


@hostile(ends_transaction=True)
def has_transactions_begin_read_only(input: Any) -> int:
    connection.ensure_connection()
    with suppress(Exception):  # the driver refuses that inside a transaction
        connection.connection.read_only = True
    return 1


@hostile()
def reads_numbers_as_texts(input: Any) -> int:
    connection.ensure_connection()
    for name in ("int4", "int8", "jsonb"):
        connection.connection.adapters.register_loader(name, TextLoader)
    run_sql("select 1")
    return 1


@hostile()
def hears_of_notices(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.add_notice_handler(print)
    run_sql("select 1")
    return 1


@hostile()
def goes_on_capturing_queries(input: Any) -> int:
    _kept.append(capture := CaptureQueriesContext(connection))
    capture.__enter__()
    return 1


@hostile("OperationalError", ends_transaction=True)
def terminates_its_session(input: Any) -> int:
    run_sql("select pg_terminate_backend(pg_backend_pid())")
    return 1


def _sending(sql: str, name: str) -> None:
    """By Django, and behind it."""

    def by_django(input: Any) -> int:
        run_sql(sql)
        return 1

    def by_the_driver(input: Any) -> int:
        connection.ensure_connection()
        connection.connection.execute(sql)
        return 1

    for function, door in ((by_django, "by_django"), (by_the_driver, "by_the_driver")):
        function.__name__ = function.__qualname__ = f"{name}_{door}"
        hostile()(function)


for _sql, _name in [
    ("""set "hostile"."tenant" = 'x'""", "sets_a_quoted_name"),
    ("set HOSTILE.Tenant = 'x'", "sets_a_name_in_capitals"),
    ("set local hostile.tenant = 'x'", "sets_for_the_transaction"),
    ("select set_config(E'hostile.tenant', 'x', false)", "sets_by_an_escaped_text"),
    ("select 1; set hostile.tenant = 'x'", "sets_in_a_second_statement"),
    ("do $$ begin set hostile.tenant = 'x'; end $$", "sets_a_made_up_setting_in_a_do_block"),
    ("set xml option document", "sets_how_xml_is_read"),
    ("set geqo_threshold = 3", "sets_how_plans_are_made"),
    ("create temporary table hostile_leftover (x int)", "leaves_a_temporary_table"),
    ("create table pg_temp.hostile_leftover (x int)", "leaves_a_table_in_pg_temp"),
    ("create temp view hostile_leftover as select 1", "leaves_a_temporary_view"),
    ("create temp sequence hostile_leftover", "leaves_a_temporary_sequence"),
    ("select 1 as x into temporary hostile_leftover", "leaves_what_it_has_selected"),
    ("create function pg_temp.hostile_leftover() returns int return 1", "leaves_a_function"),
    ("prepare hostile_leftover as select 1", "leaves_a_prepared_statement"),
    ("select pg_advisory_lock(424242)", "leaves_a_lock"),
    ("select pg_advisory_lock_shared(424242)", "leaves_a_shared_lock"),
    ("listen hostile", "leaves_a_channel_that_it_hears"),
]:
    _sending(_sql, _name)


@hostile()
def sets_by_parameters(input: Any) -> int:
    run_sql("select set_config(%s, %s, %s)", "hostile.tenant", "x", False)
    return 1


@hostile()
def sets_by_calling_a_function(input: Any) -> int:
    with connection.cursor() as cursor:
        cursor.callproc("set_config", ["hostile.tenant", "x", False])
    return 1


@hostile()
def locks_by_calling_a_function(input: Any) -> int:
    with connection.cursor() as cursor:
        cursor.callproc("pg_advisory_lock", [424242])
    return 1


@hostile()
def reads_texts_as_they_are_and_uses_nothing(input: Any) -> int:
    connection.ensure_connection()
    connection.connection.adapters.register_loader("int8", TextLoader)
    return 1


# Processes, threads, loops.


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


def _join(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@hostile()
def forks_a_child_that_exits(input: Any) -> int:
    pid = _fork()
    if pid == 0:
        sys.exit(0)
    return _join(pid)


@hostile()
def forks_a_child_that_returns(input: Any) -> int:
    pid = _fork()
    return 0 if pid == 0 else _join(pid)


@hostile()
def forks_a_child_that_raises(input: Any) -> int:
    pid = _fork()
    if pid == 0:
        raise ValueError("of the child")
    return _join(pid)


@hostile()
def leaves_a_thread_running(input: Any) -> int:
    thread = threading.Thread(target=threading.Event().wait, args=[0.3], daemon=True)
    thread.start()
    return 1


@hostile()
def logs_from_threads_after_its_end(input: Any, context: Any) -> int:
    def tell() -> None:
        threading.Event().wait(0.1)
        context.log("too late")
        context.progress(1, 1)

    threading.Thread(target=tell, daemon=True).start()
    return 1


@hostile()
def sets_an_event_loop(input: Any) -> int:
    _kept_for_ever.append(loop := asyncio.new_event_loop())
    asyncio.set_event_loop(loop)
    return 1


@hostile()
def leaves_a_loop_running(input: Any) -> int:
    _kept_for_ever.append(loop := asyncio.new_event_loop())
    asyncio._set_running_loop(loop)
    return 1


@hostile()
def runs_a_loop_itself(input: Any) -> int:
    asyncio.run(asyncio.sleep(0))
    return 1


@hostile()
async def is_async(input: Any) -> int:
    await Workflow.objects.acount()
    return 1


@hostile("ValueError", atomic=True)
async def is_async_and_atomic_and_raises(input: Any) -> int:
    await Workflow.objects.acreate(workflow_slug=MARK)
    raise ValueError("after writing")


@hostile()
async def leaves_tasks_behind(input: Any) -> int:
    _kept.append(asyncio.ensure_future(asyncio.sleep(60)))
    return 1


@hostile()
async def leaves_a_task_that_stays(input: Any) -> int:
    async def stay() -> None:
        while not _is_over.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    _kept_for_ever.append(asyncio.ensure_future(stay()))
    await asyncio.sleep(0)
    return 1


@hostile()
async def leaves_a_thread_that_stays(input: Any) -> int:
    _kept_for_ever.append(asyncio.ensure_future(asyncio.to_thread(_is_over.wait, 60)))
    await asyncio.sleep(0.01)
    return 1


@hostile()
async def forks_in_a_coroutine(input: Any) -> int:
    pid = _fork()
    if pid == 0:
        sys.exit(0)
    return _join(pid)


# Exceptions.


class NoInit(RetryAfter):
    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


class Silent(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class NoText(Exception):
    def __str__(self) -> str:
        return 1  # type: ignore[return-value] # noqa: PLE0307


class Odd(BaseException):
    pass


class NoName(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__name__":
            raise SystemExit
        return super().__getattribute__(name)


class Nameless(Exception, metaclass=NoName):
    pass


class Shown(ValueError):
    """Does something whenever it is asked for its text."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__("shown")
        self._act = act

    def __str__(self) -> str:
        self._act()
        return "shown"


def _query_that_fails() -> Any:
    return Workflow.objects.extra(where=["1/0 = 1"])  # evaluated by whoever shows it


def _fork_and_go_on() -> None:
    if (pid := _fork()) > 0:
        _join(pid)


def _places(*problems: Any, code: str | None = None) -> BaseException:
    return ContractBroken("broken", problems=problems, code=code)


def _raising(error: Callable[[], BaseException], name: str, fails: str) -> None:
    def function(input: Any) -> None:
        raise error()

    function.__name__ = function.__qualname__ = name
    hostile(fails)(function)


def _cyclic() -> BaseException:
    error = ValueError("cyclic")
    error.__cause__ = error
    return error


_ERRORS: list[tuple[Callable[[], BaseException], str, str]] = [
    (KeyboardInterrupt, "raises_keyboard_interrupt", "KeyboardInterrupt"),
    (lambda: SystemExit(0), "raises_system_exit", "SystemExit"),
    (lambda: SystemExit(object()), "raises_system_exit_with_an_object", "SystemExit"),
    (GeneratorExit, "raises_generator_exit", "GeneratorExit"),
    (asyncio.CancelledError, "raises_cancelled_error", "CancelledError"),
    (Odd, "raises_a_base_exception", "Odd"),
    (lambda: NoInit("no seconds"), "raises_retry_after_without_seconds", "NoInit"),
    (lambda: RetryAfter(float("nan")), "raises_retry_after_nan", "RetryAfter"),
    (lambda: RetryAfter(float("-inf")), "raises_retry_after_minus_infinity", "RetryAfter"),
    (Silent, "raises_what_exits_when_shown", "Silent"),
    (NoText, "raises_what_has_no_text", "NoText"),
    (Nameless, "raises_what_has_no_name", "an exception without a name"),
    (lambda: ValueError("a\0b\ud800"), "raises_text_that_cannot_be_stored", "ValueError"),
    (lambda: ValueError("x" * 20_000_000), "raises_twenty_million_characters", "ValueError"),
    (lambda: ExceptionGroup("g", [ValueError(1)] * 50), "raises_a_group", "ExceptionGroup"),
    (_cyclic, "raises_what_causes_itself", "ValueError"),
    (StopIteration, "raises_stop_iteration", "StopIteration"),
    (MemoryError, "raises_memory_error", "MemoryError"),
    (lambda: PermanentFailure(object()), "raises_permanent_failure", "PermanentFailure"),  # type: ignore[arg-type]
    (StepInterrupted, "raises_step_interrupted", "StepInterrupted"),
    (lambda: Shown(_fork_and_go_on), "raises_what_forks_when_shown", "Shown"),
    (lambda: Shown(lambda: translation.activate("de")), "raises_what_speaks_german", "Shown"),
    (lambda: Shown(_leave_a_loop_running), "raises_what_leaves_a_loop_running", "Shown"),
    (lambda: Shown(_lose_the_search_path), "raises_what_sets_the_search_path", "Shown"),
    (lambda: ValueError(_query_that_fails()), "raises_a_query_that_fails", "ValueError"),
    (lambda: _places(object()), "raises_places_that_are_no_json", "ContractBroken"),
    (lambda: _places(gettext_lazy("x")), "raises_places_that_are_lazy", "ContractBroken"),
    (lambda: _places(float("nan"), "\ud800"), "raises_places_of_no_number", "ContractBroken"),
    (lambda: _places(code="a\0b"), "raises_a_code_that_cannot_be_stored", "ContractBroken"),
    (lambda: _places(ItemsExit(a=1)), "raises_places_that_exit_when_read", "ContractBroken"),
]


def _leave_a_loop_running() -> None:
    _kept_for_ever.append(loop := asyncio.new_event_loop())
    asyncio._set_running_loop(loop)


def _lose_the_search_path() -> None:
    run_sql("set search_path to nowhere")


for _error, _name, _type in _ERRORS:
    _raising(_error, _name, _type)


@hostile("RecursionError")
def recurses_for_ever(input: Any) -> Any:
    return recurses_for_ever(input)


# Values.


class ItemsExit(dict[str, Any]):
    def items(self) -> Any:
        raise SystemExit


class Read(dict[str, Any]):
    """Does something whenever it is read."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(a=1)
        self._act = act

    def items(self) -> Any:
        self._act()
        return super().items()


def _leave_a_block_with_a_row() -> None:
    transaction.atomic().__enter__()
    write()


def _returning(value: Callable[[], Any], name: str, fails: str | None = "InvalidOutput") -> None:
    def function(input: Any) -> Any:
        return value()

    function.__name__ = function.__qualname__ = name
    hostile(fails)(function)


def _deep() -> Any:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    return value


def _endless() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


for _value, _name in [
    (object, "returns_an_object"),
    (lambda: (i for i in range(3)), "returns_a_generator"),
    (lambda: float("nan"), "returns_nan"),
    (lambda: {1: "a", "1": "b"}, "returns_a_key_twice"),
    (lambda: [{"a": {None: 1, "null": 2}}], "returns_a_key_twice_deep_down"),
    (_deep, "returns_what_is_too_deep"),
    (_endless, "returns_what_holds_itself"),
    (lambda: "a\0b", "returns_nul"),
    (lambda: {"a\ud800": 1}, "returns_a_lone_surrogate"),
    (lambda: 10**5000, "returns_too_many_digits"),
    (lambda: Decimal("1.5"), "returns_a_decimal"),
    (lambda: "x" * 9_000_000, "returns_too_much"),
    (lambda: [1.7e308] * 200_000, "returns_what_grows_when_stored"),
    (lambda: {(1, 2): 3}, "returns_a_tuple_as_key"),
]:
    _returning(_value, _name)

_returning(lambda: Read(_leave_a_block_with_a_row), "returns_what_leaves_atomic_entered", LEFT)
for _value, _name in [
    (lambda: Read(lambda: translation.activate("de")), "returns_what_speaks_german"),
    (lambda: Read(lambda: VARIABLE.set("changed")), "returns_what_sets_a_context_variable"),
    (lambda: Read(_lose_the_search_path), "returns_what_sets_the_search_path"),
    (lambda: Read(_leave_a_loop_running), "returns_what_leaves_a_loop_running"),
]:
    _returning(_value, _name, None)


@hostile(ends_transaction=True)
def returns_what_begins(input: Any) -> Any:
    return Read(lambda: run_sql("begin"))


@hostile()
def changes_its_input(input: Any) -> int:
    input.clear()
    return 1


# Log lines.


class BadText:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class TextExit:
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


def _graph() -> Any:
    """More ways through it than anybody can go."""
    nodes: list[Any] = [[] for _ in range(32)]
    for node, following in itertools.pairwise(nodes):
        node.extend([following] * 3)
    nodes[-1].append(nodes[0])
    return nodes[0]


def _tree() -> Any:
    value: Any = 1
    for _ in range(40):
        value = [value, value, value]
    return value


def _telling(tell: Callable[[Any], None], name: str, *, atomic: bool = False) -> None:
    def function(input: Any, context: Any) -> int:
        tell(context)
        return 1

    function.__name__ = function.__qualname__ = name
    hostile(atomic=atomic)(function)


def _tell_much(context: Any) -> None:
    for number in range(5_000):
        context.log(f"line {number}")


def _tell_from_threads(context: Any) -> None:
    threads = [threading.Thread(target=context.log, args=[str(n)]) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


for _tell, _name in [
    (lambda c: c.log("a\0b"), "logs_nul"),
    (lambda c: c.log("a\ud800"), "logs_a_lone_surrogate"),
    (lambda c: c.log("x", at=datetime.now(UTC), what=object()), "logs_fields_that_are_no_json"),
    (lambda c: c.log("x", bad=BadText(), nan=float("nan")), "logs_fields_without_text"),
    (lambda c: c.log(BadText()), "logs_what_has_no_text"),
    (lambda c: c.log("x" * 1_000_000, more="y" * 1_000_000), "logs_a_long_line"),
    (_tell_much, "logs_many_lines"),
    (_tell_from_threads, "logs_from_threads"),
    (lambda c: c.progress(float("nan"), object()), "tells_progress_that_is_no_number"),
    (lambda c: c.log("%s %d {}"), "logs_what_looks_like_a_format"),
    (lambda c: c.log(TextExit(), what=TextExit()), "logs_what_exits_when_shown"),
    (lambda c: c.log("x", what=ItemsExit(a=1)), "logs_what_exits_when_read"),
    (lambda c: c.log("x", graph=_graph()), "logs_a_graph"),
    (lambda c: c.log("x", tree=_tree()), "logs_what_is_too_large_to_write"),
    (lambda c: (c.progress(1, 2), c.progress(TextExit(), 2)), "progress_exits_when_shown"),
    (lambda c: (c.progress(1, 2), c.progress(ItemsExit(a=1), 2)), "progress_exits_when_read"),
]:
    _telling(_tell, _name)
    _telling(_tell, f"atomic_{_name}", atomic=True)


# Hooks, and what is the thread's.


@hostile(atomic=True)
def registers_a_hook_that_raises(input: Any) -> int:
    transaction.on_commit(lambda: 1 // 0)
    return 1


@hostile(atomic=True)
def registers_a_hook_that_exits(input: Any) -> int:
    transaction.on_commit(sys.exit)
    return 1


class NoRepr:
    def __call__(self) -> None:
        raise ValueError("of a hook")

    def __repr__(self) -> str:
        raise SystemExit


def _hooking(hook: Callable[[], object], name: str, *, atomic: bool = True) -> None:
    def function(input: Any) -> int:
        transaction.on_commit(hook)
        return 1

    function.__name__ = function.__qualname__ = name
    hostile(atomic=atomic)(function)


_hooks: list[tuple[Callable[[], object], str]] = [
    (NoRepr(), "registers_a_hook_without_repr"),
    (lambda: translation.activate("de"), "registers_a_hook_that_speaks_german"),
    (_leave_a_loop_running, "registers_a_hook_that_leaves_a_loop_running"),
    (_lose_the_search_path, "registers_a_hook_that_sets_the_search_path"),
]
for _hook, _name in _hooks:
    _hooking(_hook, _name)
    if not isinstance(_hook, NoRepr):  # outside a transaction a hook is called at once
        _hooking(_hook, f"plain_{_name}", atomic=False)


@hostile()
def changes_how_decimals_round(input: Any) -> int:
    decimal.getcontext().prec = 3
    return 1


def _refuse_to_trace(*_: Any) -> Any:
    raise RuntimeError("the tracer of a step that has ended")


@hostile()
def leaves_a_tracer(input: Any) -> int:
    sys.settrace(_refuse_to_trace)
    return 1


@hostile()
def leaves_a_profiler(input: Any) -> int:
    sys.setprofile(lambda frame, event, _: _refuse_to_trace() if event == "call" else None)
    return 1


@hostile()
def activates_a_language(input: Any) -> int:
    translation.activate("de")
    return 1


@hostile()
def activates_a_time_zone(input: Any) -> int:
    timezone.activate("Asia/Tokyo")
    return 1


@hostile()
def sets_a_context_variable(input: Any) -> int:
    VARIABLE.set("changed")
    return 1


@hostile()
def collects_garbage(input: Any) -> int:
    _kept.clear()
    gc.collect()
    return 1


@contextmanager
def nothing_left() -> Iterator[None]:
    """Whatever a hostile step has kept alive is let go."""
    _is_over.clear()
    try:
        yield
    finally:
        _kept.clear()
        _is_over.set()
