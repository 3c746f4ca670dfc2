"""What is measured, in the order of a round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from bench.celery_engine import CeleryPrefork
from bench.contracts import PLAIN, TYPED
from bench.engines import ENGINES, Engine
from bench.figures import Figure, Item, Subject, ratio
from bench.flows import CHAIN, CODE_CHAIN, FAN, MAP, Shape
from bench.growth import Growth
from bench.loading import Loading
from bench.looking import Explaining, Simulating
from bench.memory import measure_memory
from bench.options import Options
from bench.raw import RawLimits
from bench.settings import LEVELS
from bench.workloads import Latency, Load, Throughput

#: Workload, shape, whether one call starts all runs, sizes, and those of ``--full``.
THROUGHPUT: tuple[tuple[str, Shape, bool, tuple[int, ...], tuple[int, ...]], ...] = (
    ("W1", CHAIN, False, (500,), (5000,)),
    ("W1code", CODE_CHAIN, False, (500,), ()),
    ("W1bulk", CHAIN, True, (5000,), ()),
    ("W2", MAP, False, (100, 1000, 10_000), (30_000,)),
    ("W2kb", PLAIN, False, (10_000,), ()),
    ("W2typed", TYPED, False, (10_000,), ()),
    ("W4", FAN, False, (10,), (100,)),
)
#: The same for Celery workers, and for the workers of ``--full`` beside them.
WITH_CELERY: tuple[tuple[str, Shape, bool, tuple[int, ...], tuple[int, ...]], ...] = (
    ("W1", CHAIN, False, (5000,), (500,)),
    ("W1bulk", CHAIN, True, (5000,), ()),
    ("W2", MAP, False, (10_000,), ()),
    ("W4", FAN, False, (100,), ()),
)
CELERY = CeleryPrefork(2)
#: Rounds with Celery workers: each starts and warms them anew.
CELERY_ROUNDS = 3
W3_SIZE = 20
W5_RUNS = 500
MEMORY_ITEMS = 10_000
LOADED_STEPS = (3, 50)
SIMULATED_STEPS = 300
EXPLAINED_TASKS = 10_000
#: Runs a second under which latency is measured, and for how long.
RATES = (50, 100, 200, 400)
LOAD_SECONDS = 4.0


def levels(options: Options) -> tuple[int, ...]:
    """The numbers of finished tasks that W5 wants in the tables."""
    largest = LEVELS[-1] if options.is_full else LEVELS[-2]
    return tuple(
        level
        for level in LEVELS
        if level <= largest and options.wants("W5") and options.includes("inprocess")
    )


def items(options: Options, limits: RawLimits) -> list[Item]:
    """Everything to measure."""
    found = limits.items() if options.wants("raw") else []
    found += _in_process(options)
    if options.includes("celery"):
        found += _with_celery(options)
    return found


def compared(options: Options, celery: Engine) -> list[Item]:
    """What ``--compare`` measures, without C; last what this engine runs."""
    found = list(_in_process(options))
    if options.includes("celery"):
        found += _on_workers(options, celery)
    return found


def _in_process(options: Options) -> Iterator[Item]:
    if options.includes("inprocess"):
        for engine in ENGINES:
            yield from _throughput(options, engine, THROUGHPUT)
            yield from _others(options, engine)


def _on_workers(options: Options, celery: Engine) -> Iterator[Item]:
    yield from _throughput(options, celery, WITH_CELERY)
    if options.wants("W3", W3_SIZE):
        size = options.scaled(W3_SIZE)
        yield Item(_subject(celery, "W3", size), Latency(celery, size).measure)
    for rate in RATES:
        if options.wants("load", rate):
            load = Load(celery, rate, LOAD_SECONDS * options.scale)
            yield Item(_subject(celery, "load", rate), load.measure)


def _with_celery(options: Options) -> Iterator[Item]:
    """What is asked of Celery workers; a few rounds of it, since each starts workers anew."""
    found = list(_on_workers(options, CELERY))
    if options.wants("idle"):
        found.append(Item(Subject(CELERY.name, "idle", procs=CELERY.procs), CELERY.measure_idle, 1))
    if options.is_full:
        for engine in (CeleryPrefork(4), CeleryPrefork(1, workers=2)):
            found += _throughput(options, engine, WITH_CELERY[2:3])
    for item in found:
        yield replace(item, rounds=min(item.rounds or CELERY_ROUNDS, CELERY_ROUNDS))


def _throughput(
    options: Options,
    engine: Engine,
    workloads: Sequence[tuple[str, Shape, bool, tuple[int, ...], tuple[int, ...]]],
) -> Iterator[Item]:
    for name, shape, is_bulk, sizes, large in workloads:
        for size in sizes + large * options.is_full:
            if options.wants(name, size):
                scaled = options.scaled(size)
                workload = Throughput(engine, shape, scaled, is_bulk)
                yield Item(_subject(engine, name, scaled), workload.measure)


def _others(options: Options, engine: Engine) -> Iterator[Item]:
    if options.wants("W3", W3_SIZE):
        size = options.scaled(W3_SIZE)
        yield Item(_subject(engine, "W3", size), Latency(engine, size).measure)
    for level in levels(options):
        growth = Growth(engine, options.scaled(W5_RUNS), level)
        yield Item(_subject(engine, "W5", level), growth.measure)
    if engine.name != "inprocess":
        return
    for size in LOADED_STEPS:
        if options.wants("load", size):
            yield Item(_subject(engine, "load", size), Loading(size).measure)
    if options.wants("simulate", SIMULATED_STEPS):
        size = options.scaled(SIMULATED_STEPS)
        yield Item(_subject(engine, "simulate", size), Simulating(size).measure)
    if options.wants("explain", EXPLAINED_TASKS):
        size = options.scaled(EXPLAINED_TASKS)
        yield Item(_subject(engine, "explain", size), Explaining(size).measure, rounds=2)
    if options.wants("memory", MEMORY_ITEMS):
        size = options.scaled(MEMORY_ITEMS)
        yield Item(_subject(engine, "memory", size), partial(measure_memory, size), rounds=2)


def _subject(engine: Engine, workload: str, size: int) -> Subject:
    return Subject(engine.name, workload, size, engine.procs)


def ratios(figures: list[Figure]) -> Iterator[Figure]:
    """What two workloads tell together: growth, code against stored flows, contracts."""
    by_subject = {(f.subject.engine, f.subject.workload, f.subject.size): f for f in figures}
    pairs = [
        # The cost of a task is the inverse of the tasks per second.
        ("W2 growth", 10_000, ("W2", 1000), ("W2", 10_000)),
        *(("W5 growth", level, ("W5", level), ("W5", 0)) for level in LEVELS[1:]),
        ("code to stored", 500, ("W1code", 500), ("W1", 500)),
        ("contracts", 10_000, ("W2typed", 10_000), ("W2kb", 10_000)),
    ]
    for engine in ENGINES:
        for name, size, over, under in pairs:
            first = by_subject.get((engine.name, *over))
            second = by_subject.get((engine.name, *under))
            if first and second:
                yield ratio(_subject(engine, name, size), "tasks_per_s", first, second)
