"""``python -m bench``: measure, check, print."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import django

from bench.options import Options, parse_options


def main() -> int:
    """Run the command line: 0 done, 1 a wrong result or slower than before, 2 refused."""
    options = parse_options()
    prepare_django(options)
    return finish(lambda: _measure(options))


def finish(measure: Callable[[], int]) -> int:
    """Measure, and clean up whatever ends it; the exit status."""
    from bench.checks import WrongResult
    from bench.database import Refused

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return measure()
    except WrongResult as error:
        return _fail(1, f"wrong result: {error}")
    except Refused as error:
        return _fail(2, str(error))
    except KeyboardInterrupt:
        return _fail(130, "interrupted")


def _measure(options: Options) -> int:
    if options.compare:
        from bench.compare import compare

        return compare(options)
    from bench.harness import run

    run(options)
    return 0


def prepare_django(options: Options) -> None:
    """Set Django up with the settings of the benchmarks, for this process and its children."""
    if options.database:
        os.environ["PGFLOW_BENCH_DATABASE"] = options.database
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
    django.setup()


def _fail(status: int, message: str) -> int:
    print(f"bench: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
