-- Takes a failed or cancelled run up again: what had completed keeps its output, the rest starts
-- afresh with all its attempts, in a round of their own, and what it waits for is counted anew.
-- `new_owner` is the process that will run it, null for any worker.
--
-- Returns the run's status before: nothing was done unless that is failed or cancelled; null
-- where there is no such run.
create or replace function pgflow.retry_run(run uuid, new_owner bigint default null)
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_run workflow_runs;
    v_again pgflow.ready_step[];
    v_fresh pgflow.ready_step[];
    v_empty pgflow.step_ref[];
    v_oversized pgflow.step_ref[];
    v_stuck text;
    v_now timestamptz := clock_timestamp();
begin
    select * into v_run from workflow_runs r where r.id = retry_run.run for update;
    if not found or v_run.status not in ('failed', 'cancelled') then
        return v_run.status;
    end if;
    if
        (select count(*) from workflow_step_states s where s.run_id = v_run.id)
        < (select v.steps_count from workflow_versions v where v.id = v_run.version_id)
    then
        return null;  -- it is being deleted, in slices
    end if;

    update workflow_runs r
    set status = 'started', error = null, ended_at = null, owner_id = retry_run.new_owner, round = r.round + 1
    where r.id = v_run.id;
    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'run_started', 'run_id', v_run.id, 'workflow_slug', v_run.workflow_slug, 'retried', true
        )));
    end if;
    update workflow_step_tasks t
    set status = 'queued', attempts_count = 0, error = null, queued_at = v_now, started_at = null, ended_at = null
    from workflow_step_states s
    where
        s.run_id = v_run.id and s.status in ('failed', 'cancelled')  -- not one that was skipped since
        and t.run_id = s.run_id and t.step_slug = s.step_slug and t.status in ('failed', 'cancelled');
    update workflow_step_states s
    set
        status = 'created', started_at = null, ended_at = null, remaining_tasks = null,
        remaining_deps = (
            select count(*)
            from workflow_version_steps vs
            join workflow_step_states d on d.run_id = s.run_id and d.step_slug = any(vs.depends_on)
            where
                vs.version_id = v_run.version_id and vs.step_slug = s.step_slug
                and d.status not in ('completed', 'skipped')
        )
    where s.run_id = v_run.id and s.status in ('failed', 'cancelled', 'created');
    update workflow_runs r
    set remaining_steps = (
        select count(*) from workflow_step_states s
        where s.run_id = r.id and s.status not in ('completed', 'skipped')
    )
    where r.id = v_run.id;

    -- Steps that had tasks go on with those that are left; steps that had none are sized as at a first
    -- start.
    with sized as materialized (
        select
            s.step_slug, vs.step_type, vs.function, s.initial_tasks is not null as had_tasks,
            case when retry_run.new_owner is null then vs.queue else 'in_process' end as queue,
            case
                when s.initial_tasks is not null then s.initial_tasks
                when vs.step_type = 'single' then 1
                else pgflow._map_size(s.run_id, v_run.version_id, vs.depends_on[1], vs.initial_tasks)
            end as tasks,
            (
                select count(*) from workflow_step_tasks t
                where t.run_id = s.run_id and t.step_slug = s.step_slug and t.status = 'queued'
            )::integer as queued
        from workflow_step_states s
        join workflow_version_steps vs on vs.version_id = v_run.version_id and vs.step_slug = s.step_slug
        where s.run_id = v_run.id and s.status = 'created' and s.remaining_deps = 0
    ),
    started as (
        update workflow_step_states s
        set
            status = case when z.left_over = 0 then 'completed' when z.tasks is null then s.status else 'started' end,
            initial_tasks = z.tasks, remaining_tasks = z.left_over,
            started_at = case when z.tasks is not null then v_now end,
            ended_at = case when z.left_over = 0 then v_now end
        from (select *, case when had_tasks then queued else tasks end as left_over from sized) as z
        where s.run_id = v_run.id and s.step_slug = z.step_slug
        returning z.*, row(v_run.id, v_run.version_id, v_run.workflow_slug, z.step_slug, z.step_type,
            z.tasks, z.function, z.queue, 0)::pgflow.ready_step as ready
    )
    select
        array_agg(z.ready) filter (where z.left_over > 0 and z.had_tasks),
        array_agg(z.ready) filter (where z.left_over > 0 and not z.had_tasks),
        array_agg(row(v_run.id, z.step_slug)::pgflow.step_ref) filter (where z.left_over = 0),
        min(z.step_slug) filter (where z.tasks is null)
    into v_again, v_fresh, v_empty, v_stuck
    from started z;

    insert into workflow_run_events (run_id, at, level, kind, message)
    values (v_run.id, v_now, 'info', 'retried', format('taken up again; it was %s', v_run.status));
    if v_again is not null then
        perform pgflow._resend_tasks(v_again);
    end if;
    v_oversized := pgflow._oversized(v_fresh);
    if cardinality(v_oversized) > 0 then  -- it ends again at once, and nothing of it is needed
        perform pgflow._fail_oversized(v_run.id, v_oversized[1].step_slug);
        return v_run.status;
    end if;
    if v_fresh is not null then
        perform pgflow._create_tasks(v_fresh, 0, null, null);
    end if;
    if v_empty is not null then
        perform pgflow._advance(v_empty, 0, null, null);
    end if;
    perform pgflow._count_down(array[row(v_run.id, null)::pgflow.step_ref]);
    if v_stuck is not null then
        perform pgflow._fail_unmappable(v_run.id, v_stuck);
    end if;
    return v_run.status;
end
$$;
