"""System checks: everything that can be wrong with how a site installs pgflow_django.

``manage.py check`` runs the first group, ``check --database ALIAS`` and ``migrate`` the second too.
A message says what is wrong, its hint how to fix it.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import inf
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router

from pgflow_django.agents import policy
from pgflow_django.conf import AI_OUTPUTS, JOINED_BYTES_LIMIT, TRIAL_DAYS_LIMIT, Defaults
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import Workflow
from pgflow_django.registry import registry
from pgflow_django.storage.diagnosis import diagnose
from pgflow_django.storage.pooling import pool_size
from pgflow_django.storage.trouble import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.apps import AppConfig

PSYCOPG = (3, 2)

#: The settings that have an upper bound.
_WEEK = 604_800
_MOST = {
    "MAX_JOINED_BYTES": JOINED_BYTES_LIMIT,
    "TRIAL_DAYS": TRIAL_DAYS_LIMIT,
    "LEASE_SECONDS": _WEEK,
    "POLL_INTERVAL": _WEEK,
    "MONITOR_TIMEOUT": _WEEK,
    "LOOP_SECONDS": _WEEK,
}

_CONTRACT_HINTS = {
    "type": "Correct it: until then this part is not checked. A hint must name what is there when "
    "the program runs, not for type checkers only.",
    "example": "Correct the example, or what the function declares.",
}


@register(Tags.compatibility)
def check_psycopg(**_: Any) -> list[CheckMessage]:
    """E002: the driver."""
    try:
        return judge_psycopg(version("psycopg"))
    except PackageNotFoundError:
        return judge_psycopg(None)


def judge_psycopg(found: str | None) -> list[CheckMessage]:
    """Say whether this version of psycopg serves; ``None`` means that there is none."""
    wanted = ".".join(map(str, PSYCOPG))
    if found and tuple(map(int, re.findall(r"\d+", found)[:2])) >= PSYCOPG:
        return []
    what = f"psycopg {found} is too old" if found else "psycopg 3 is not installed"
    hint = f"Run `pip install 'psycopg[binary]>={wanted}'`."
    return [Error(f"{what}: pgflow_django needs {wanted} or later.", hint=hint, id="pgflow.E002")]


@register(Tags.compatibility)
def check_installed_apps(**_: Any) -> list[CheckMessage]:
    """E003: the apps that ours builds on."""
    if apps.is_installed("pgtrigger"):
        return []
    hint = 'Add "pgtrigger" to INSTALLED_APPS.'
    what = "pgtrigger, which installs the triggers of pgflow_django, is not in INSTALLED_APPS."
    return [Error(what, hint=hint, id="pgflow.E003")]


@register(Tags.models)
def check_alias(**_: Any) -> list[CheckMessage]:
    """E001: the kind of database that the router gives our models."""
    aliases = {router.db_for_read(Workflow), router.db_for_write(Workflow)}
    hint = (
        "Set its ENGINE to django.db.backends.postgresql, or send the app pgflow_django to a "
        "PostgreSQL alias in db_for_read(), db_for_write() and allow_migrate() of a router."
    )
    return [
        Error(
            f"The models of pgflow_django use the {place(alias)}, which is "
            f"{connections[alias].display_name}, not PostgreSQL.",
            hint=hint,
            id="pgflow.E001",
        )
        for alias in sorted(aliases)
        if connections[alias].vendor != "postgresql"
    ]


@register(Tags.models)
def check_isolation(**_: Any) -> list[CheckMessage]:
    """W003: transactions that the server may refuse."""
    aliases = {router.db_for_read(Workflow), router.db_for_write(Workflow)}
    hint = (
        "Remove isolation_level from its OPTIONS, or do such transactions again from their start: "
        "only what pgflow_django does outside of them is tried again by itself."
    )
    return [
        checks.Warning(
            f"The {place(alias)} isolates transactions as {level}: the server refuses those that "
            "others have overtaken (SQLSTATE 40001), with the runs that they start, cancel or "
            "execute.",
            hint=hint,
            id="pgflow.W003",
        )
        for alias in sorted(aliases)
        if connections[alias].vendor == "postgresql" and (level := _isolation(alias))
    ]


@register(Tags.models)
def check_pool(**_: Any) -> list[CheckMessage]:
    """W005: a pool of connections in which threads would wait for one another."""
    alias = router.db_for_write(Workflow)
    size, values = pool_size(alias), getattr(settings, "PGFLOW", {})
    threads = values.get("THREADS", Defaults().THREADS) if isinstance(values, dict) else None
    if not isinstance(threads, int) or size > threads:
        return []
    hint = (
        f'Set OPTIONS["pool"]["max_size"] of DATABASES["{alias}"] to {threads + 1} or more (for a '
        'Celery worker with threads: two more than it has), or PGFLOW["THREADS"] to less.'
    )
    what = (
        f"Django's pool of the {place(alias)} has at most {size:.0f} connections: too few for the "
        f'{threads} threads of PGFLOW["THREADS"], and the one that watches over them.'
    )
    return [checks.Warning(what, hint=hint, id="pgflow.W005")]


def _isolation(alias: str) -> str:
    """How an alias isolates transactions, where it was told to do so strictly."""
    options = connections[alias].settings_dict.get("OPTIONS") or {}
    level = options.get("isolation_level")
    if level is not None:
        strict = {3: "REPEATABLE READ", 4: "SERIALIZABLE"}  # psycopg.IsolationLevel is an IntEnum
        return strict.get(int(level), "")
    found = re.search(
        r"default_transaction_isolation\s*=\s*(repeatable\\? read|serializable)",
        str(options.get("options", "")),
        re.IGNORECASE,
    )
    return found[1].replace("\\", "").upper() if found else ""


@register(Tags.compatibility)
def check_settings(**_: Any) -> list[CheckMessage]:
    """E004, E005, W001: the dict ``PGFLOW``."""
    values = getattr(settings, "PGFLOW", {})
    if isinstance(values, dict):
        return [*_judge_settings(values), *_judge_policy(), *_judge_output(values)]
    what = f"PGFLOW is not a dict but of type {type(values).__name__}."
    hint = 'Write PGFLOW = {"THREADS": 8}, for instance, with only what differs from the default.'
    return [Error(what, hint=hint, id="pgflow.E004")]


def _judge_settings(values: dict[Any, Any]) -> Iterator[CheckMessage]:
    defaults = asdict(Defaults())
    for name, value in values.items():
        if name not in defaults:
            nearest = did_you_mean(nearest_names(name, defaults, limit=1))
            hint = f"{nearest} The settings are {', '.join(sorted(defaults))}.".lstrip()
            yield checks.Warning(f"PGFLOW has no setting {name!r}.", hint=hint, id="pgflow.W001")
        elif wanted := _judge_value(value, defaults[name], _MOST.get(name, inf)):
            what = f'PGFLOW["{name}"] is {value!r}, not {wanted}.'
            hint = f"Remove it for the default, {defaults[name]!r}, or set {wanted}."
            yield Error(what, hint=hint, id="pgflow.E005")


def _judge_policy() -> Iterator[CheckMessage]:
    """What programs may do: each setting has a type that fits, and may still say nothing."""
    for read in (policy.find_mode, policy.policy):
        try:
            read()
        except PgflowError as error:
            hint = "docs/agents.md lists what can be set, with the defaults."
            yield Error(str(error), hint=hint, id="pgflow.E016")


def _judge_output(values: dict[Any, Any]) -> Iterator[CheckMessage]:
    """How a language model is held to the schema of flows."""
    found = values.get("AI_OUTPUT", "auto")
    if isinstance(found, str) and found not in AI_OUTPUTS:
        words = ", ".join(AI_OUTPUTS)
        what = f'PGFLOW["AI_OUTPUT"] is {found!r}, not one of {words}.'
        yield Error(what, hint="Remove it for the default, 'auto'.", id="pgflow.E005")


def _judge_value(value: Any, default: Any, most: float = inf) -> str:
    """Say what is wanted in place of ``value``; empty where it will do."""
    if default is None:
        is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        return "" if value is None or is_list else "a list of names"
    if isinstance(default, bool) or not isinstance(default, int | float):
        return "" if isinstance(value, type(default)) else f"a {type(default).__name__}"
    kinds = int if isinstance(default, int) else int | float
    if isinstance(value, kinds) and not isinstance(value, bool) and 0 < value < inf:
        return "" if value <= most else f"at most {most:,}"
    return f"a {'whole ' if isinstance(default, int) else ''}number above 0"


@register(Tags.compatibility)
def check_contracts(**_: Any) -> list[CheckMessage]:
    """W006, W007: what step functions declare of their input, params and output."""
    return [
        checks.Warning(
            f'Step function "{function.name}" ({function.place}): {flaw.text}.',
            hint=_CONTRACT_HINTS[flaw.kind],
            id="pgflow.W006" if flaw.kind == "type" else "pgflow.W007",
        )
        for function in registry.all()
        if function.contract is not None
        for flaw in function.contract.flaws()
    ]


@register(Tags.database)
def check_databases(
    app_configs: Sequence[AppConfig] | None = None,  # noqa: ARG001
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """E006 to E014, W002, W004, W008: what ``pgflow_doctor`` looks at, where it is wrong.

    Never what ``migrate`` fixes itself, since it runs this first.
    """
    return [
        (checks.Warning if finding.check.startswith("pgflow.W") else Error)(
            finding.trouble.what, hint=finding.trouble.fix, id=finding.check
        )
        for alias in databases or ()
        if connections[alias].vendor == "postgresql" and router.allow_migrate_model(alias, Workflow)
        for finding in diagnose(alias)
        if finding.trouble and finding.check
    ]
