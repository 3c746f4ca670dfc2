"""W5: whether it matters what the tables hold already."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from django.db import ProgrammingError, connections, transaction

from bench.engines import Engine
from bench.figures import Sample
from bench.flows import CHAIN, MAP
from bench.workloads import Throughput

#: Finished tasks that are multiplied: half of them of chains, half of a map.
SEED_CHAINS = 100
SEED_ITEMS = 298
SEED_TASKS = 600

COPY_RUNS = """
create temporary table copies on commit drop as
select r.id as old_id, pgflow.uuid7() as new_id
from workflow_runs r cross join generate_series(1, %s)
"""
#: A row of a run, of a step's state and of a task, with the run's id exchanged.
COPY_ROWS = """
insert into {table}
select copy.*
from copies c
join {table} t on t.{run_id} = c.old_id
cross join lateral jsonb_populate_record(t, jsonb_build_object('{run_id}', c.new_id)) as copy
"""
TABLES = {"workflow_runs": "id", "workflow_step_states": "run_id", "workflow_step_tasks": "run_id"}


def fill(engine: Engine, tasks: int, using: str) -> None:
    """Bring a database to about this number of finished tasks, vacuumed and analysed."""
    if tasks:
        Throughput(engine, CHAIN, SEED_CHAINS, using=using).measure()
        Throughput(engine, MAP, SEED_ITEMS, using=using).measure()
        with transaction.atomic(using), connections[using].cursor() as cursor:
            cursor.execute(COPY_RUNS, [tasks // SEED_TASKS])
            for table, run_id in TABLES.items():
                cursor.execute(COPY_ROWS.format(table=table, run_id=run_id))
    with connections[using].cursor() as cursor:
        cursor.execute(f"vacuum analyze {', '.join(TABLES)}")
        with suppress(ProgrammingError):  # a role that may not leaves it to the server
            cursor.execute("checkpoint")


@dataclass(frozen=True)
class Growth:
    """W1 on tables that hold ``level`` finished tasks, or none: then they are emptied each time."""

    engine: Engine
    size: int
    level: int

    def measure(self) -> Sample:
        """Run W1 in the database of this level."""
        using = f"level_{self.level}"
        if not self.level:
            with connections[using].cursor() as cursor:
                cursor.execute(f"truncate {', '.join(TABLES)} cascade")
        return Throughput(self.engine, CHAIN, self.size, using=using).measure()
