"""Databases with pgmq for brokers: the test's own, and one in which pgmq is an extension."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from pgmq.install import get_embedded_install_sql, get_embedded_sql_version

from tests.celery.proxy import by_tcp
from tests.engine.database import query

_CONTROL = """
comment = 'a queue'
default_version = '{version}'
schema = 'pgmq'
relocatable = false
superuser = true
"""


@contextmanager
def same_database() -> Iterator[str]:
    """The URL of the test's own database, by TCP."""
    with _url(connection.settings_dict["NAME"]) as url:
        yield url


@contextmanager
def own_database() -> Iterator[str]:
    """The URL of a new database with the extension pgmq, from the server or from the PyPI package.

    Skips the test where neither can be had.
    """
    name = f"{connection.settings_dict['NAME']}_broker"
    query(f'drop database if exists "{name}" with (force)')
    query(f'create database "{name}"')
    try:
        with tempfile.TemporaryDirectory() as place:
            if not query("select from pg_available_extensions where name = 'pgmq'"):
                _offer(Path(place), name)
            with _url(name) as url:
                _create_extension(name)
                yield url
    finally:
        query(f'drop database if exists "{name}" with (force)')


def _offer(place: Path, database: str) -> None:
    """Let the server find the extension in this folder, for one database."""
    version = query("show server_version")[0][0]
    if int(query("show server_version_num")[0][0]) < 180000:
        pytest.skip(
            "kombu-pgmq asks for the extension pgmq, which this server does not offer; PostgreSQL "
            "18 could take it from another folder (extension_control_path), this is "
            f"{version}"
        )
    pgmq = get_embedded_sql_version()
    extensions = place / "extension"
    extensions.mkdir()
    (extensions / "pgmq.control").write_text(_CONTROL.format(version=pgmq))
    (extensions / f"pgmq--{pgmq}.sql").write_text(get_embedded_install_sql())
    place.chmod(0o755)
    query(f"alter database \"{database}\" set extension_control_path = '{place}:$system'")


@contextmanager
def _url(database: str) -> Iterator[str]:
    settings = connection.settings_dict
    login = f"{settings['USER']}:{settings['PASSWORD'] or 'none'}"
    with by_tcp(has_notifications=True) as (address, _):
        yield f"pgmq://{login}@{address['HOST']}:{address['PORT']}/{database}"


def _create_extension(database: str) -> None:
    parameters = {**connection.get_connection_params(), "dbname": database}
    for key in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(key, None)
    with psycopg.connect(**parameters, autocommit=True) as there:
        try:
            there.execute("create extension pgmq")
        except psycopg.errors.FeatureNotSupported as error:
            pytest.skip(f"this server can't read the extension from a folder of ours: {error}")
