"""What programs may do on this site: whether anything, which flows they may make, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, cast

from pgflow_django.conf import settings
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.policy import Policy
from pgflow_django.definitions.rules import show
from pgflow_django.exceptions import PgflowError

Mode = Literal["off", "read", "write"]
Approval = Literal["person", "other_person", "none"]

MODES: Final = ("off", "read", "write")
APPROVALS: Final = ("person", "other_person", "none")
#: Of a quota: a count that is larger is one that nobody meant.
_MOST: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much the programs of one user may do, all of them together.

    ``approval`` is who publishes what a program has drawn: a person, a person who is not the
    user of that program, or, with ``none``, a token with the access ``publish`` too.
    """

    flows_per_user: int = 100
    runs_per_hour: int = 100
    active_runs: int = 20
    calls_per_minute: int = 120
    generations_per_day: int = 50
    approval: Approval = "person"


_OF_QUOTAS: Final = {field.name.upper() for field in fields(Quotas)}
_OF_POLICY: Final = {field.name.upper() for field in fields(Policy)}


def find_mode() -> Mode:
    """Whether programs may do nothing here, look, or write as well: ``PGFLOW["AGENTS"]``.

    Raises ``PgflowError`` (``invalid_policy``) for anything else.
    """
    mode = settings.AGENTS
    if mode not in MODES:
        raise _invalid(f'PGFLOW["AGENTS"] is {show(mode)}, but must be one of {", ".join(MODES)}.')
    return cast("Mode", mode)


def policy() -> Policy:
    """What flows programs may make: ``PGFLOW["AGENT_POLICY"]`` over the defaults.

    Raises ``PgflowError`` (``invalid_policy``), with the key that is wrong.
    """
    return _read()[0]


def quotas() -> Quotas:
    """How much programs may do, from the same setting. Raises as ``policy``."""
    return _read()[1]


def _read() -> tuple[Policy, Quotas]:
    site = settings.AGENT_POLICY
    if not isinstance(site, Mapping):
        raise _invalid(f'PGFLOW["AGENT_POLICY"] is {show(site)}, but must be a dict.')
    for key in site:
        if key not in _OF_QUOTAS | _OF_POLICY:
            meant = did_you_mean(nearest_names(str(key), _OF_QUOTAS | _OF_POLICY))
            raise _invalid(f"There is no {show(key)} in a policy.{meant}")
    ours = {key.lower(): _read_quota(key, site[key]) for key in site if key in _OF_QUOTAS}
    return Policy.from_dict({key: site[key] for key in site if key in _OF_POLICY}), Quotas(**ours)


def _read_quota(key: str, value: Any) -> Any:
    if key == "APPROVAL":
        if value not in APPROVALS:
            listed = ", ".join(APPROVALS)
            raise _invalid(f"APPROVAL of the policy is {show(value)}, but must be one of {listed}.")
    elif not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _invalid(f"{key} of the policy is {show(value)}, but must be a whole number.")
    return value


def _invalid(message: str) -> PgflowError:
    return PgflowError(message, code="invalid_policy")
