"""Whether a connection's role may use what our migrations have installed, and what to grant it.

Storage layer: imports Django and ``trouble``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from pgflow_django.storage.trouble import Trouble, place

if TYPE_CHECKING:
    from collections.abc import Sequence


class Grants(NamedTuple):
    """What is to be granted to ``role``, as SQL, and the owners of what it is about."""

    role: str
    owners: Sequence[str]
    statements: Sequence[str]


def missing_grants(using: str) -> Grants:
    """What the role of this alias lacks. Reads only the catalog, so that no right is needed.

    What is not there is not missed here: the migrations make it.
    """
    models = apps.get_app_config("pgflow_django").get_models()
    tables = [model._meta.db_table for model in models]  # noqa: SLF001 - Django's own name for it
    past = MigrationRecorder.Migration._meta.db_table  # noqa: SLF001 - as above
    with connections[using].cursor() as cursor:
        cursor.execute(_LOOK, {"tables": tables, "past": past})
        rows = cursor.fetchall()
        cursor.execute("select quote_ident(current_user)")
        (role,) = cursor.fetchone()
    statements = [f"grant {what} to {role}" for what, _ in rows]
    owners = sorted({owner for _, owners in rows for owner in owners})
    return Grants(role, owners, statements)


def lack_of(grants: Grants, using: str) -> Trouble:
    """Say that the role lacks rights, and how it gets them."""
    what = f"{grants.role} may not use all that pgflow_django installed in the {place(using)}."
    return Trouble(what, f"Let {' and '.join(grants.owners)} run `{'; '.join(grants.statements)}`.")


#: One row for each statement: what to grant, and who owns that. A table in a schema that the role
#: may not use is not visible to it, and yet the one that the site means.
_LOOK = """
with wanted as (
    select unnest(%(tables)s::text[]) as name, 'select, insert, update, delete' as privileges
    union all select %(past)s, 'select'
),
used as (
    select c.oid, c.relname, c.relowner, c.relnamespace, w.privileges
    from wanted w
    join pg_class c on c.relname = w.name and c.relkind in ('r', 'p')
    where
        c.oid = to_regclass(quote_ident(w.name))
        or (
            to_regclass(quote_ident(w.name)) is null
            and not has_schema_privilege(c.relnamespace, 'usage')
        )
),
schema as (
    select n.oid, n.nspname, n.nspowner from pg_namespace n
    where n.nspname = 'pgflow' or n.oid in (select relnamespace from used)
),
lacked as (
    select 1 as rank, 'usage on schema ' || quote_ident(nspname) as what, nspowner as owner
    from schema where not has_schema_privilege(oid, 'usage')
    union all
    select 2, 'execute on all functions in schema pgflow', p.proowner
    from pg_proc p join schema s on s.oid = p.pronamespace
    where s.nspname = 'pgflow' and not has_function_privilege(p.oid, 'execute')
    union all
    select
        3, privileges || ' on ' || string_agg(oid::regclass::text, ', ' order by relname), relowner
    from used
    where exists (
        select from string_to_table(privileges, ', ') as t (needed)
        where not has_table_privilege(oid, needed)
    )
    group by privileges, relowner
)
select what, array_agg(distinct pg_get_userbyid(owner)::text)
from lacked group by rank, what order by rank, what
"""
