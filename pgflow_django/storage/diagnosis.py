"""Whether a database is fit to run flows: one look for the system checks and ``pgflow_doctor``.

Storage layer: imports Django, the models, ``database`` and ``sql``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from django.db import Error, NotSupportedError, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import Exists, OuterRef
from django.utils import timezone

from pgflow_django.definitions.schemas import schema_faults
from pgflow_django.models import Workflow, WorkflowRun, WorkflowVersion, WorkflowWorker
from pgflow_django.sql import FUNCTIONS, body, read_sql
from pgflow_django.sql.pgmq import PREFIX, Pgmq, find_trouble, inspect
from pgflow_django.sql.pgmq_install import InstallationError, install
from pgflow_django.sql.ranking import look_at_ranks, ranking
from pgflow_django.storage.rights import lack_of, missing_grants
from pgflow_django.storage.trouble import (
    Trouble,
    doctor_command,
    explain,
    migrate_command,
    place,
    worker_command,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

#: Queues that the migrations create: for flows that name none, and for runs of one process.
BUILT_IN_QUEUES = ("default", "in_process")

_PGMQ_CHECKS = {
    "missing": "pgflow.E008",
    "old": "pgflow.E009",
    "foreign": "pgflow.E010",
    "forbidden": "pgflow.E011",
}


#: A queue's name, how many messages it holds, and how many of them are due.
Depth = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one subject; with the id of its system check where that is wrong."""

    subject: str
    found: str
    trouble: Trouble | None = None
    check: str = ""


def diagnose(using: str) -> list[Finding]:
    """Look at everything that can be looked at; never raises for what an operator can fix."""
    findings: list[Finding] = []
    if connections[using].vendor != "postgresql":
        trouble = Trouble(f"The {place(using)} is not PostgreSQL.", "Flows need PostgreSQL.")
        return [Finding("Database", connections[using].display_name, trouble)]
    try:
        findings.extend(_look_at_server(using))
        findings.extend(_look_at_installation(using))
    except NotSupportedError as error:
        fix = "Upgrade the server: the releases that this version of Django supports will do."
        trouble = Trouble(f"The server of the {place(using)} is too old: {error}.", fix)
        findings.append(Finding("PostgreSQL", "too old", trouble, "pgflow.E007"))
    except Error as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        refused = explain(error, using) or Trouble(
            f"The {place(using)} can't be looked at: {reason}.",
            "Connect as the role that ran the migrations.",
        )
        findings.append(Finding("Database", "can't be used", refused, "pgflow.E006"))
    return findings


def _look_at_server(using: str) -> Iterator[Finding]:
    with connections[using].cursor() as cursor:
        cursor.execute("select current_setting('server_version')")
        (version,) = cursor.fetchone()
    yield Finding("Database", place(using))
    yield Finding("PostgreSQL", version)


def _look_at_installation(using: str) -> Iterator[Finding]:
    connection = connections[using]
    pgmq = inspect(connection)
    check = _PGMQ_CHECKS.get(pgmq.state, "")
    serving = Finding("pgmq", str(pgmq), find_trouble(pgmq, using), check)
    grants = missing_grants(using)
    if grants.statements:
        yield serving
        yield Finding("Rights", "some are missing", lack_of(grants, using), "pgflow.E014")
        return  # the server would refuse to tell of the rest
    unapplied = unapplied_migrations(using)
    if unapplied and pgmq.state == "missing":
        yield Finding("pgmq", "not installed yet: the migrations do it")
    else:
        yield serving
    yield _look_at_migrations(unapplied, using)
    if not unapplied:
        yield _look_at_functions(using)
        yield from _look_at_schemas(using)
    if not unapplied and pgmq.state == "serves":
        depths = _depths(pgmq, using)
        yield _look_at_queues(pgmq, depths, using)
        yield _look_at_workers(depths, using)


def unapplied_migrations(using: str) -> list[str]:
    """Name the migrations of pgflow_django that this database has not had."""
    loader = MigrationLoader(connections[using])
    ours = (key for key in loader.disk_migrations if key[0] == "pgflow_django")
    return sorted(name for app, name in ours if (app, name) not in loader.applied_migrations)


def _look_at_migrations(unapplied: list[str], using: str) -> Finding:
    if not unapplied:
        return Finding("Migrations", "applied")
    names = ", ".join(unapplied)
    trouble = Trouble(
        f"Migrations of pgflow_django are not applied to the {place(using)}: {names}.",
        f"Run `{migrate_command(using)}`.",
    )
    return Finding("Migrations", f"not applied: {names}", trouble)


def outdated_functions(connection: BaseDatabaseWrapper) -> tuple[list[str], list[str]]:
    """Name the functions that are missing, and those whose body is not that of the source."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.proname, p.prosrc from pg_proc p "
            "join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'pgflow'"
        )
        installed = dict(cursor.fetchall())
    missing = [name for name in FUNCTIONS if name not in installed]
    present = (name for name in FUNCTIONS if name in installed)
    return missing, [name for name in present if installed[name] != body(read_sql(name))]


def _look_at_functions(using: str) -> Finding:
    missing, changed = outdated_functions(connections[using])
    repair = f"`{_repair_command(using)}` installs those of this version."
    if missing:
        trouble = Trouble(
            f"Functions of pgflow_django are missing from the {place(using)}: "
            f"{', '.join(missing)}.",
            f"Run `{migrate_command(using)}`; {repair}",
        )
        return Finding("Functions", f"{len(missing)} missing", trouble, "pgflow.E012")
    if changed:
        trouble = Trouble(
            f"Functions in the {place(using)} differ from this version of pgflow_django: "
            f"{', '.join(changed)}.",
            "While a newer version is being rolled out this is as it should be; otherwise "
            f"somebody has changed them, and {repair}",
        )
        return Finding("Functions", f"{len(changed)} differ", trouble, "pgflow.W002")
    return Finding("Functions", f"{len(FUNCTIONS)}, current")


def _look_at_schemas(using: str) -> Iterator[Finding]:
    """What was stored as a schema before anybody looked whether it is one."""
    flows = Workflow.objects.using(using).filter(input_schema__isnull=False)
    broken = [
        slug
        for slug, schema in flows.values_list("workflow_slug", "input_schema").iterator()
        if schema_faults(schema)
    ]
    if broken:
        trouble = Trouble(
            f"The input_schema of flows in the {place(using)} is no JSON Schema, so their inputs "
            f"are not checked: {', '.join(sorted(broken))}.",
            "Correct it: storing the flow again says what is wrong with it.",
        )
        yield Finding("Schemas", f"{len(broken)} not valid", trouble, "pgflow.W008")


def _repair_command(using: str) -> str:
    return doctor_command(using) + " --repair"


def missing_queues(pgmq: Pgmq, using: str) -> list[str]:
    """Name the queues that pgmq lacks, of those that are built in or were made for runs.

    A flow's queues are made with the version that its first run is pinned to: until then, none is
    missing. Of versions, those count that runs use still, or that the next run will use.
    """
    of_version = {"workflow_slug": OuterRef("workflow_slug")}
    is_current = Exists(Workflow.objects.filter(**of_version, version=OuterRef("version")))
    is_used = Exists(WorkflowRun.objects.active().filter(**of_version, version_id=OuterRef("id")))
    versions = WorkflowVersion.objects.using(using).filter(is_current | is_used)
    wanted = {*BUILT_IN_QUEUES, *chain.from_iterable(versions.values_list("queues", flat=True))}
    # pgmq folds the case of a queue's tables.
    return sorted(name for name in wanted if _table(name) not in pgmq.relations)


def unranked_queues(using: str) -> list[str]:
    """Name the queues that lack the index by which messages are claimed."""
    return [queue.name for queue in look_at_ranks(connections[using]) if not queue.is_ranked]


def _table(queue: str) -> str:
    return f"q_{PREFIX}{queue}".lower()


def _look_at_queues(pgmq: Pgmq, depths: list[Depth], using: str) -> Finding:
    missing = missing_queues(pgmq, using)
    if missing:
        trouble = Trouble(
            f"Queues are missing from the {place(using)}: {', '.join(missing)}.",
            f"`{_repair_command(using)}` creates them.",
        )
        return Finding("Queues", f"{len(missing)} missing", trouble, "pgflow.E013")
    unranked = unranked_queues(using)
    if unranked:
        trouble = Trouble(
            f"Queues in the {place(using)} lack their index, so each claim sorts all that waits: "
            f"{', '.join(unranked)}.",
            f"`{_repair_command(using)}` builds it, while work goes on.",
        )
        return Finding("Queues", f"{len(unranked)} without index", trouble, "pgflow.W004")
    return Finding("Queues", ", ".join(f"{name} {total}" for name, total, _ in depths))


def _depths(pgmq: Pgmq, using: str) -> list[Depth]:
    start = _table("")
    tables = sorted(table for table in pgmq.relations if table.startswith(start))
    depths: list[Depth] = []
    with connections[using].cursor() as cursor:
        for table in tables:
            cursor.execute(
                "select count(*), count(*) filter (where vt <= clock_timestamp()) "
                f'from pgmq."{table}"'
            )
            depths.append((table.removeprefix(start), *cursor.fetchone()))
    return depths


def _look_at_workers(depths: list[Depth], using: str) -> Finding:
    workers = WorkflowWorker.objects.using(using)
    alive = workers.filter(lease_until__gt=timezone.now()).count()
    silent = workers.count() - alive
    found = f"{alive} alive" + (f", {silent} silent: others take over their work" if silent else "")
    waiting = [name for name, _, due in depths if due and name != "in_process"]
    if waiting and not alive:
        trouble = Trouble(
            f"Work waits in the {place(using)}, and no worker is alive: queue "
            f"{', '.join(waiting)}.",
            f"Start one: `{worker_command()}`.",
        )
        return Finding("Workers", found, trouble)
    return Finding("Workers", found)


def repair(using: str) -> list[str]:
    """Put back what was removed or changed by hand after the migrations; say what was done.

    Raises ``InstallationError`` where that is not enough.
    """
    connection = connections[using]
    if unapplied_migrations(using):
        raise InstallationError(
            f"Migrations are not applied to the {place(using)}: run `{migrate_command(using)}`."
        )
    done: list[str] = []
    with transaction.atomic(using), connection.cursor() as cursor:
        if inspect(connection).state != "serves":
            done.append(install(connection))
        cursor.execute("set local check_function_bodies = off")
        missing, changed = outdated_functions(connection)
        for name in missing + changed:
            cursor.execute(read_sql(name), None)
            done.append(f"function {name}: installed")
        for name in missing_queues(inspect(connection), using):
            cursor.execute("select pgflow.ensure_queue(%s)", [name])
            done.append(f"queue {name}: created, empty")
    for name in unranked_queues(using):
        with connection.cursor() as cursor:
            for statement in ranking(name, concurrently=not connection.in_atomic_block):
                cursor.execute(statement)
        done.append(f"queue {name}: indexed")
    return done
