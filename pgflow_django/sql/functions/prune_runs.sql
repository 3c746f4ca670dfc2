-- Deletes up to `batch` runs that ended before `before` with one of these statuses, the oldest
-- first, with all their rows: steps, tasks, attempts, events. Returns how many; a number below
-- `batch` says that none is left, and then the versions that nothing needs any more are gone too.
-- Active runs are never touched: they have not ended.
--
-- Ids of runs begin with the time of the start, so the primary key leads to old ones first. A run
-- that somebody is retrying just now is passed over. Locks runs, then whatever belongs to them.
create or replace function pgflow.prune_runs(before timestamptz, statuses text[], batch integer)
returns integer
language plpgsql volatile
set search_path from current
set enable_seqscan = off
as $$
declare
    v_runs uuid[];
    v_is_quiet boolean;
begin
    v_runs := array(
        select r.id from workflow_runs r
        where r.ended_at < prune_runs.before and r.status = any(prune_runs.statuses)
        order by r.id
        limit prune_runs.batch
        for update skip locked
    );
    delete from workflow_run_events e where e.run_id = any(v_runs);
    delete from workflow_task_attempts a where a.run_id = any(v_runs);
    delete from workflow_step_tasks t where t.run_id = any(v_runs);
    delete from workflow_step_states s where s.run_id = any(v_runs);
    delete from workflow_runs r where r.id = any(v_runs);
    if cardinality(v_runs) >= prune_runs.batch then
        return cardinality(v_runs);
    end if;

    -- A start that has not committed may hold a version that nobody else sees in use. So a version
    -- must have been followed by another one long ago, or nobody may be writing runs just now.
    v_is_quiet := not exists (
        select from pg_locks l
        where
            l.relation = 'workflow_runs'::regclass and l.pid <> pg_backend_pid()
            and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    );
    delete from workflow_versions v
    where
        v.created_at < prune_runs.before
        and not exists (
            select from workflows w where w.workflow_slug = v.workflow_slug and w.version = v.version
        )
        and not exists (
            select from workflow_runs r where r.workflow_slug = v.workflow_slug and r.version_id = v.id
        )
        and (v_is_quiet or exists (
            select from workflow_versions n
            where
                n.workflow_slug = v.workflow_slug and n.version > v.version
                and n.created_at < prune_runs.before
        ));
    return cardinality(v_runs);
end
$$;
