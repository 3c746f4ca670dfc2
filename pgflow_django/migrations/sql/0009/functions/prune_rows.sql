-- Deletes up to `max_rows` rows of runs that ended before `before` with one of these statuses: runs
-- with their steps, tasks, attempts and events, the oldest first, from the one that follows `after`
-- on, and no more than `max_runs`. Gives how many runs are gone, and after which one to go on: null
-- says that none is left, and then the versions that nothing needs any more are gone too. Active runs
-- are never touched: they have not ended.
--
-- A run of more rows goes in several calls, its own row with the last one. States of its steps go
-- first: where one is missing, retry_run finds no run.
--
-- Trials go where they ended before `trials_before`, if that is later.
--
-- Ids of runs begin with the time of the start, so the primary key leads to old ones first. A run
-- that somebody is retrying just now is passed over. Locks runs, then whatever belongs to them.
create or replace function pgflow.prune_rows(
    before timestamptz, statuses text[], max_rows integer, after uuid default null, max_runs integer default null,
    trials_before timestamptz default null,
    out runs integer, out next uuid
)
language plpgsql volatile
set search_path from current
set enable_seqscan = off
as $$
declare
    c_first constant uuid := '00000000-0000-0000-0000-000000000000';
    v_run uuid;
    v_runs uuid[] := '{}';
    v_size integer;
    v_left integer := prune_rows.max_rows;
    v_table text;
    v_is_quiet boolean;
    v_trials_before timestamptz := greatest(prune_rows.before, prune_rows.trials_before);
begin
    for v_run in
        select r.id from workflow_runs r
        where
            r.id > coalesce(prune_rows.after, c_first)
            and r.ended_at < case when r.version = 0 then v_trials_before else prune_rows.before end
            and r.status = any(prune_rows.statuses)
        order by r.id
        for update skip locked
    loop
        v_size := 1 + (
            select count(*) from (
                select from workflow_step_states s where s.run_id = v_run
                union all select from workflow_step_tasks t where t.run_id = v_run
                union all select from workflow_task_attempts a where a.run_id = v_run
                union all select from workflow_run_events e where e.run_id = v_run
                limit prune_rows.max_rows
            ) as of_run
        );
        next := coalesce(prune_rows.after, c_first);
        exit when v_size > v_left and v_runs <> '{}' or cardinality(v_runs) >= prune_rows.max_runs;
        v_runs := v_runs || v_run;
        v_left := v_left - v_size;
        exit when v_left < 0;
        next := null;
    end loop;

    v_left := prune_rows.max_rows;
    foreach v_table in array '{
        workflow_step_states, workflow_step_tasks, workflow_task_attempts, workflow_run_events
    }'::text[] loop
        execute format(
            'delete from %1$I where ctid = any(array(select ctid from %1$I where run_id = any($1) limit $2))', v_table
        ) using v_runs, v_left;
        get diagnostics v_size = row_count;
        v_left := v_left - v_size;
    end loop;
    runs := 0;
    if v_left >= cardinality(v_runs) then
        delete from workflow_runs r where r.id = any(v_runs);
        get diagnostics runs = row_count;
        if next is not null and v_runs <> '{}' then
            next := v_runs[cardinality(v_runs)];
        end if;
    end if;
    if next is not null then
        return;
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
        v.created_at < case when v.version = 0 then v_trials_before else prune_rows.before end
        and not exists (
            select from workflows w where w.workflow_slug = v.workflow_slug and w.version = v.version
        )
        and not exists (
            select from workflow_runs r where r.workflow_slug = v.workflow_slug and r.version_id = v.id
        )
        -- A trial's version is written together with its only run.
        and (v.version = 0 or v_is_quiet or exists (
            select from workflow_versions n
            where
                n.workflow_slug = v.workflow_slug and n.version > v.version
                and n.created_at < prune_rows.before
        ));
end
$$;
