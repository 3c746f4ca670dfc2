"""``manage.py listworkers``: which processes work, on which queues, and what on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.words import duration, plural
from pgflow_django.runs.workers import list_workers
from pgflow_django.storage.trouble import worker_command

if TYPE_CHECKING:
    from pgflow_django.runs.workers import WorkerView

_COLUMNS: Final = (
    Column("NODE", is_flexible=True),
    Column("HOST", is_flexible=True),
    Column("PID", is_number=True),
    Column("KIND", from_width=100),
    Column("QUEUES", is_flexible=True),
    Column("FUNCTIONS", from_width=100, is_number=True),
    Column("HEARTBEAT"),
    Column("DOING", is_flexible=True),
)


class Command(PgflowCommand):
    """Lists workers."""

    help = """\
List the processes that work on flows, with their queues, the time since they gave a sign of life,
and what they are doing. A worker of Celery has a line for itself and one for each process that
runs steps; who executes or drains flows in its own process has one, too."""
    epilog = """\
examples:
  manage.py listworkers
  manage.py listworkers --json | jq '.[] | select(.is_alive) | .pid'"""

    def handle(self, *args: Any, **options: Any) -> None:
        """List them."""
        workers = list_workers(using=self.using)
        if self.is_json:
            self.show_json([_to_dict(worker) for worker in workers])
        elif workers:
            self.show(build_table(self.out, _COLUMNS, [_row(worker) for worker in workers]))
        else:
            self.say(f"No workers. Start one: {worker_command()}")


def _to_dict(worker: WorkerView) -> dict[str, Any]:
    facts = asdict(worker)
    del facts["now"]
    return {**facts, "silent": round(worker.silent, 1)}


def _row(worker: WorkerView) -> list[Text | str]:
    heartbeat = f"{duration(worker.silent)} ago"
    return [
        worker.node,
        worker.hostname,
        str(worker.pid),
        worker.kind,
        ", ".join(worker.queues),
        "any" if worker.functions is None else f"{len(worker.functions):,}",
        Text(heartbeat, "" if worker.is_alive else "red"),
        _doing(worker),
    ]


def _doing(worker: WorkerView) -> Text | str:
    if not worker.is_alive:
        return Text("silent: others take over its work", "red")
    if not worker.queues:
        return Text("serves nothing: its log says why", "red")
    if not worker.doing:
        return Text("idle", "dim")
    work = worker.doing[0]
    task = f"[{work.task_index}]" if work.task_index and work.tasks == 1 else ""
    many = f" ({plural(work.tasks, 'task')})" if work.tasks > 1 else ""
    since = duration((worker.now - work.since).total_seconds())
    more = f", and {plural(len(worker.doing) - 1, 'more step')}" if len(worker.doing) > 1 else ""
    where = f"{work.workflow_slug}.{work.step_slug}{task}{many}"
    return f"{where} of run {work.run_id} for {since}{more}"
