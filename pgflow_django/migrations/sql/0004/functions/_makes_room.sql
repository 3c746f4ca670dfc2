-- Whether a process waits for its threads to have nothing left, for a task that must be alone: a third
-- of its lease at a time, see _passes_over.
create or replace function pgflow._makes_room(since timestamptz, lease_seconds double precision)
returns boolean
language sql volatile
as $$
    select coalesce(
        _makes_room.since > clock_timestamp() - make_interval(secs => _makes_room.lease_seconds / 3), false
    )
$$;
