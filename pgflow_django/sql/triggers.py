"""Functions that django-pgtrigger leaves in a database: it drops triggers, never their functions.

Storage layer: imports Django.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from django.apps import apps

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def orphaned_functions(connection: BaseDatabaseWrapper) -> list[str]:
    """Name the functions of our models' triggers that no trigger uses any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.proname, p.oid::regprocedure::text from pg_proc p "
            "where p.proname ~ '^pgtrigger_.+_[0-9a-f]{5}$' "
            "and not exists (select from pg_trigger t where t.tgfoid = p.oid)"
        )
        return [procedure for name, procedure in cursor.fetchall() if _is_of_our_models(name)]


def _is_of_our_models(function: str) -> bool:
    """Tell by the hash of model and trigger that django-pgtrigger puts into the name."""
    _, name, found = re.split("^pgtrigger_|_(?=[0-9a-f]{5}$)", function)
    models = apps.get_app_config("pgflow_django").get_models()
    uris = (f"pgflow_django.{model.__name__}:{name}" for model in models)
    return any(hashlib.sha1(uri.encode()).hexdigest()[:5] == found for uri in uris)  # noqa: S324


def unused_shared_functions(connection: BaseDatabaseWrapper) -> list[str]:
    """Name the function that all triggers share, if none is left that calls it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.oid::regprocedure::text from pg_proc p "
            "where p.proname = '_pgtrigger_should_ignore' and not exists ("
            "  select from pg_proc q"
            "  where q.oid <> p.oid and q.prosrc like '%pgtrigger_should_ignore%'"
            ")"
        )
        return [procedure for (procedure,) in cursor.fetchall()]
