"""Every public function says in a sentence what only an operator can fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.flows import Flow, step
from tests.storage.conftest import Query, alias, run, stranger_in

#: Without a query, or with one that its caller sends.
ASK_NOTHING = {
    *("is_valid_slug", "validate_flow", "repair_flow", "flow_schema"),
    *("export_python", "problems", "list_handed_in", "list_unpublished"),
}
NOBODY = uuid4()


class Report(Flow):
    @step
    def one(input: Any) -> Any:  # noqa: N805
        return 1


DOCUMENT = {"workflow_slug": "report", "steps": [{"slug": "one"}]}
ME: dict[str, Any] = {"user": "ann"}
CALLS: dict[str, Callable[..., Any]] = {
    "create_flow": lambda **on: flow_builder.create_flow("report", **on),
    "add_step": lambda **on: flow_builder.add_step("report", "one", **on),
    "list_flows": flow_builder.list_flows,
    "get_flow": lambda **on: flow_builder.get_flow("report", **on),
    "delete_flow": lambda **on: flow_builder.delete_flow("report", **on),
    "create_flow_from_spec": lambda **on: flow_builder.create_flow_from_spec(DOCUMENT, **on),
    "export_flow": lambda **on: flow_builder.export_flow("report", **on),
    "execute_dynamic": lambda **on: executor.execute_dynamic("report", **on),
    "execute": lambda **on: executor.execute(Report, **on),
    "start_flow": lambda **on: executor.start_flow("report", **on),
    "start_flows": lambda **on: executor.start_flows("report", [{}], **on),
    "start_trial": lambda **on: executor.start_trial(DOCUMENT, allow_effects=True, **on),
    "wait": lambda **on: executor.wait(NOBODY, timeout=0, **on),
    "get_run_status": lambda **on: executor.get_run_status(NOBODY, **on),
    "cancel_run": lambda **on: executor.cancel_run(NOBODY, **on),
    "pause_run": lambda **on: executor.pause_run(NOBODY, **on),
    "resume_run": lambda **on: executor.resume_run(NOBODY, **on),
    "retry_run": lambda **on: executor.retry_run(NOBODY, **on),
    "retry_now": lambda **on: executor.retry_now(NOBODY, **on),
    "skip_step": lambda **on: executor.skip_step(NOBODY, "one", **on),
    "complete_step": lambda **on: executor.complete_step(NOBODY, "one", 1, **on),
    "rerun": lambda **on: executor.rerun(NOBODY, **on),
    "drain": lambda **on: executor.drain(timeout=0, **on),
    "load": lambda **on: drafts.load("report", **on),
    "create": lambda **on: drafts.create("report", DOCUMENT, **ME, **on),
    "edit": lambda **on: drafts.edit("report", 1, "undo", {}, **ME, **on),
    "discard": lambda **on: drafts.discard("report", 1, **ME, **on),
    "publish": lambda **on: drafts.publish("report", 1, **ME, **on),
    "hand_in": lambda **on: drafts.hand_in("report", 1, **ME, **on),
    "send_back": lambda **on: drafts.send_back("report", 1, note="", **ME, **on),
    "history": lambda **on: drafts.history("report", **on),
    "compare": lambda **on: drafts.compare("report", 0, 1, **on),
    "list_versions": lambda **on: drafts.list_versions("report", **on),
    "compare_versions": lambda **on: drafts.compare_versions("report", 1, **on),
    "name_copy": lambda **on: drafts.name_copy("report", **on),
    "preview_import": lambda **on: drafts.preview_import('{"steps": []}', slug="report", **on),
    "apply_import": lambda **on: drafts.apply_import("report", DOCUMENT, version=0, **ME, **on),
    "touch_presence": lambda **on: drafts.touch_presence("report", "ann", "key", **on),
    "others_present": lambda **on: drafts.others_present("report", "key", **on),
}


def public_functions() -> set[str]:
    modules = (flow_builder, executor, drafts)
    named = {name: getattr(module, name) for module in modules for name in module.__all__}
    is_twin = {f"a{name}" for name in named} | {"await_"}
    functions = {name for name, found in named.items() if not isinstance(found, type)}
    return functions - is_twin - ASK_NOTHING


def test_every_public_function_that_needs_the_database_is_called_here() -> None:
    assert CALLS.keys() == public_functions()


def refusals(using: str) -> Iterator[str]:
    """What each function raises on this alias, as sentences; whatever else is an error."""
    for call in CALLS.values():
        with pytest.raises(DatabaseNotReady) as raised:
            call(using=using)
        assert "\n" not in raised.value.message
        yield raised.value.message


def test_where_no_server_is(
    django_db_blocker: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PGFLOW = {"LEASE_SECONDS": 0.01}  # workers would wait for the server
    where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "1"}
    with django_db_blocker.unblock(), alias("down", **where, NAME="shop", USER="ann"):
        for message in refusals("down"):
            assert message.startswith('No connection to the database "shop" (alias "down", ')


def test_where_nothing_is_installed(database: BaseDatabaseWrapper) -> None:
    for message in refusals("scratch"):
        assert " lacks what pgflow_django's migrations install: " in message
        assert "Run `python manage.py migrate --database scratch`" in message


def test_where_the_role_may_not_use_our_functions(
    server: Query, migrated: BaseDatabaseWrapper
) -> None:
    flow_builder.create_flow_from_spec(DOCUMENT, using="scratch")
    with stranger_in(server, migrated):
        for message in refusals("stranger"):
            assert message.startswith("The role may not use what pgflow_django installed in the ")
            assert "`python manage.py pgflow_doctor --database stranger` names them." in message


def test_where_the_role_has_all_but_the_schema_of_our_functions(
    server: Query, migrated: BaseDatabaseWrapper
) -> None:
    flow_builder.create_flow_from_spec(DOCUMENT, using="scratch")
    with stranger_in(server, migrated) as connection:
        role = connection.settings_dict["USER"]
        run(migrated, f"grant all on all tables in schema public to {role}")
        with pytest.raises(DatabaseNotReady, match="permission denied for schema pgflow"):
            executor.start_flow("report", using="stranger")
        with pytest.raises(DatabaseNotReady, match="permission denied for schema pgflow"):
            flow_builder.add_step("report", "two", ["one"], using="stranger")
