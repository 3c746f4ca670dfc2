"""``python -m bench``: measure, check, print."""

from __future__ import annotations

import os
import sys

import django

from bench.options import Options, parse_options


def main() -> int:
    """Run the command line: 0 done, 1 a workload gave a wrong result, 2 refused."""
    options = parse_options()
    prepare_django(options)
    from bench.checks import WrongResult
    from bench.database import Refused
    from bench.harness import run

    try:
        run(options)
    except WrongResult as error:
        return _fail(1, f"wrong result: {error}")
    except Refused as error:
        return _fail(2, str(error))
    except KeyboardInterrupt:
        return _fail(130, "interrupted")
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
