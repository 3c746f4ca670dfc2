"""Stores the flows that the worker's code defines, where they have changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pgflow_django.exceptions import PgflowError
from pgflow_django.flows import Flow, definition_of, sync_code_flow

logger = logging.getLogger("pgflow_django.worker")


def sync_code_flows(*, using: str) -> None:
    """Write a new version of each ``Flow`` class whose fingerprint is not the stored one."""
    for flow in _all_flows(Flow):
        try:
            sync_code_flow(definition_of(flow), using=using)
        except PgflowError as error:
            logger.error("flow %s is not stored: %s", flow.slug, error)  # noqa: TRY400


def _all_flows(base: type[Flow]) -> Iterator[type[Flow]]:
    for flow in base.__subclasses__():
        if flow.__workflow_steps__():
            yield flow
        yield from _all_flows(flow)
