"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

N = TypeVar("N", int, float)

#: What ``--only`` may name; ``W2:1000`` picks one size.
PARTS = (
    *("raw", "W1", "W1bulk", "W1code", "W2", "W2kb", "W2typed", "W3", "W4", "W5"),
    *("load", "simulate", "explain", "memory", "idle"),
)
#: What ``--compare`` judges, and measures unless ``--only`` says otherwise; what it may be told to
#: measure beside them.
JUDGED = ("W1", "W1bulk", "W2", "W3", "W4")
COMPARED = (*JUDGED, "W1code", "W2kb", "load")
#: What ``--engine`` may name.
ENGINES = ("inprocess", "celery")
ROUNDS = 5
ROUNDS_COMPARED = 7

DESCRIPTION = """\
Measures how fast flows run, in multiples of C: the rate at which one client in Python (psycopg) of
the same server commits single rows durably, measured before and after everything else. load:S is
the start of a run of S steps in process, and latency under S starts a second with Celery workers.
docs/performance.md says what is measured. JSON lines go to standard output; progress and a table to
standard error.

Works on the demo site's server (DATABASE_URL, or the embedded one), in databases of its own called
<name>_bench and <name>_bench_<level>, made at the start and dropped at the end."""

EXAMPLES = """\
examples:
  python -m bench                               everything, in a few minutes
  python -m bench --only W1,W2:1000 --rounds 3  some workloads, roughly
  python -m bench --engine celery --only W3     latency with Celery workers
  python -m bench --full --write-docs           all sizes, figures into docs/performance.md
  python -m bench --compare HEAD~1              whether the working tree is slower than a commit

With --compare REF the pgflow_django of that commit and the working tree's run the same workloads
in turn, each in a database of its own (<name>_bench_before, <name>_bench_after) with its own
migrations. A row tells what each gave and the median of the ratios of measurements made one right
after the other; above 1 the working tree is faster. Judged are W1, W1bulk, W2, W3 and W4: at least
0.97. --only measures less, or others (W1code, load) beside them, which are not judged.

exit status: 0 done, 1 a workload gave a wrong result or has become slower than REF, 2 bad usage, no
such REF or an unfit database"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    only: tuple[str, ...]
    engine: str
    rounds: int
    scale: float
    database: str
    is_full: bool
    is_quiet: bool
    writes_docs: bool
    compare: str

    def wants(self, workload: str, size: int | None = None) -> bool:
        """Whether ``--only`` names this workload, or the workload with this size."""
        names = {workload.lower(), f"{workload}:{size}".lower()}
        return not self.only or not names.isdisjoint(self.only)

    def includes(self, engine: str) -> bool:
        """Whether ``--engine`` leaves this engine in."""
        return self.engine in ("", engine)

    def scaled(self, size: int) -> int:
        """The size under ``--scale``, at least 1."""
        return max(1, round(size * self.scale))


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line; exits with status 2 where it makes no sense."""
    parser = _parser()
    found = parser.parse_args(arguments)
    if found.write_docs and (found.only or found.engine or found.scale != 1):
        parser.error(
            "--write-docs wants all figures at their full size: no --only, no --engine, no --scale"
        )
    if found.compare:
        _check_compared(parser, found)
    return Options(
        only=found.only or _lowered(JUDGED if found.compare else ()),
        engine=found.engine,
        rounds=found.rounds or (ROUNDS_COMPARED if found.compare else ROUNDS),
        scale=found.scale,
        database=found.database,
        is_full=found.full,
        is_quiet=found.json_only,
        writes_docs=found.write_docs,
        compare=found.compare,
    )


def _check_compared(parser: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    if found.write_docs:
        parser.error("--write-docs writes what make bench measures: no --compare")
    for part in found.only:
        if part.partition(":")[0] not in _lowered(COMPARED):
            parser.error(f"--compare knows no {part!r}, but: {', '.join(COMPARED)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--full", action="store_true", help="add the large sizes and a million finished tasks")
    add("--only", type=_read_parts, default=(), metavar="W1,W2:1000", help=", ".join(PARTS))
    add("--engine", choices=ENGINES, default="", help="one of the engines instead of both")
    add(
        "--rounds",
        type=_positive(int),
        metavar="N",
        help=f"rounds (default: {ROUNDS}; with --compare {ROUNDS_COMPARED})",
    )
    add(
        "--scale",
        type=_positive(float),
        default=1,
        metavar="X",
        help="multiply all sizes, to try things out",
    )
    add("--compare", default="", metavar="REF", help="measure the working tree against a commit")
    add("--database", default="", metavar="NAME", help="instead of <name>_bench")
    add("--json-only", action="store_true", help="no progress, no table")
    add("--write-docs", action="store_true", help="put the table into docs/performance.md")
    return parser


def _read_parts(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    known = _lowered(PARTS)
    for part in parts:
        if part.partition(":")[0] not in known:
            raise argparse.ArgumentTypeError(f"there is no {part!r}, but: {', '.join(PARTS)}")
    return parts


def _lowered(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def _positive(number: type[N]) -> Callable[[str], N]:
    def read(text: str) -> N:
        value = number(text)
        if value <= 0:
            raise argparse.ArgumentTypeError("must be more than 0")
        return value

    return read
