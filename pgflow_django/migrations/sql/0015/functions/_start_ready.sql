-- Starts the steps of a run that wait for nothing and have not begun: those that had tasks go on with
-- what is left of them, the others are sized as at a first start. No `start_delay` counts: what they
-- wait for was done long ago; resume_run knows them by `at`, which is also that of the run's event. A
-- run with nothing left completes. The run's row is locked by the caller.
create or replace function pgflow._start_ready(run workflow_runs, at timestamptz)
returns void
language plpgsql volatile
as $$
declare
    v_run workflow_runs := _start_ready.run;
    v_again pgflow.ready_step[];
    v_fresh pgflow.ready_step[];
    v_empty pgflow.step_ref[];
    v_oversized pgflow.step_ref[];
    v_stuck text;
begin
    with sized as materialized (
        select
            s.step_slug, vs.step_type, vs.function, s.initial_tasks is not null as had_tasks,
            pgflow._queue_of(v_run.status, v_run.owner_id, vs.queue) as queue,
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
            started_at = case when z.tasks is not null then _start_ready.at end,
            ended_at = case when z.left_over = 0 then _start_ready.at end
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

    if v_again is not null then
        perform pgflow._resend_tasks(v_again);
    end if;
    v_oversized := pgflow._oversized(v_fresh);
    if cardinality(v_oversized) > 0 then  -- it ends again at once, and nothing of it is needed
        perform pgflow._fail_oversized(v_run.id, v_oversized[1].step_slug);
        return;
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
end
$$;
