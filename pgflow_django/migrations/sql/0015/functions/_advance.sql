-- Follows completed steps (and skipped ones, see decide_step) through their runs: dependents lose a
-- dependency, those that wait for nothing more start, maps over [] complete at once and are followed in
-- turn, runs without a step left complete. Returns the tasks handed to `caller` (see _create_tasks).
-- Nothing follows in a run that somebody has ended by hand, and no step starts that is not `created`.
-- Tasks of a paused run are queued without a message.
--
-- Called with the runs' rows locked. Lock order: states of dependents, then runs, each sorted.
create or replace function pgflow._advance(
    completed pgflow.step_ref[],
    feed integer,
    claim_id bigint,
    caller workflow_workers
)
returns pgflow.task_range[]
language plpgsql volatile
as $$
declare
    v_completed pgflow.step_ref[] := _advance.completed;
    v_all pgflow.step_ref[] := _advance.completed;
    v_ready pgflow.ready_step[];
    v_stuck pgflow.step_ref[];
    v_all_stuck pgflow.step_ref[];
    v_stuck_step pgflow.step_ref;
    v_moved pgflow.step_ref[];
    v_has_map boolean;
    v_has_join boolean;
    v_oversized pgflow.step_ref[] := '{}';
    v_oversized_step pgflow.step_ref;
    v_fed pgflow.task_range[];
    v_now timestamptz := clock_timestamp();
begin
    while v_completed is not null loop
        with edge as (
            select
                r.id as run_id, r.version_id, r.workflow_slug, r.owner_id, r.status as run_status,
                r.ended_at is null as is_live,
                child.slug, count(*)::integer as deps, bool_or(vs.step_type = 'map') as is_after_map
            from unnest(v_completed) as c
            join workflow_runs r on r.id = c.run_id
            join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = c.step_slug
            cross join lateral unnest(vs.dependents) as child (slug)
            where  -- always; see settle_and_claim
                c.run_id between '00000000-0000-0000-0000-000000000000' and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
            group by r.id, child.slug
            order by r.id, child.slug
        ),
        child as materialized (
            select
                e.*, vs.step_type, vs.function, vs.queue, vs.start_delay,
                (
                    vs.step_type = 'single'
                    or (vs.inputs is not null and pgflow._reads_whole(vs.inputs, vs.depends_on[1]))
                ) and (e.is_after_map or cardinality(vs.depends_on) > 1) as is_join,
                case vs.step_type
                    when 'single' then 1
                    else pgflow._map_size(e.run_id, e.version_id, vs.depends_on[1], vs.initial_tasks)
                end as tasks
            from edge e
            join workflow_version_steps vs on vs.version_id = e.version_id and vs.step_slug = e.slug
        ),
        moved as (
            update workflow_step_states s
            set
                remaining_deps = s.remaining_deps - c.deps,
                status = case
                    when s.remaining_deps > c.deps or c.tasks is null then s.status
                    when c.tasks = 0 then 'completed'
                    else 'started'
                end,
                remaining_tasks = case when s.remaining_deps = c.deps then c.tasks end,
                initial_tasks = case when s.remaining_deps = c.deps then c.tasks end,
                started_at = case when s.remaining_deps = c.deps and c.tasks is not null then v_now end,
                ended_at = case when s.remaining_deps = c.deps and c.tasks = 0 then v_now end
            from child c
            where s.run_id = c.run_id and s.step_slug = c.slug and s.status = 'created' and c.is_live
            returning
                s.status, s.remaining_deps, c.run_id, c.version_id, c.workflow_slug, c.slug,
                c.step_type, c.tasks, c.function, c.start_delay, c.is_join,
                pgflow._queue_of(c.run_status, c.owner_id, c.queue) as queue
        )
        select
            array_agg(row(m.run_id, m.version_id, m.workflow_slug, m.slug, m.step_type, m.tasks,
                m.function, m.queue, m.start_delay)::pgflow.ready_step) filter (where m.status = 'started'),
            array_agg(row(m.run_id, m.slug)::pgflow.step_ref) filter (where m.status = 'completed'),
            array_agg(row(m.run_id, m.slug)::pgflow.step_ref)
                filter (where m.status = 'created' and m.remaining_deps = 0),
            array_agg(row(m.run_id, m.slug)::pgflow.step_ref),
            bool_or(m.step_type = 'map'),
            bool_or(m.is_join and m.status = 'started')
        into v_ready, v_completed, v_stuck, v_moved, v_has_map, v_has_join
        from moved m;

        v_all := v_all || v_completed;
        if v_has_join then
            v_oversized := v_oversized || pgflow._oversized(v_ready);
            v_ready := array(
                select r from unnest(v_ready) as r where row(r.run_id, r.step_slug)::pgflow.step_ref <> all(v_oversized)
            );
        end if;
        if cardinality(v_ready) > 0 then
            v_fed := v_fed || pgflow._create_tasks(
                v_ready, _advance.feed - coalesce(cardinality(v_fed), 0), _advance.claim_id, _advance.caller
            );
        end if;
        if v_has_map then
            perform pgflow._note_map_sizes(v_moved);
        end if;
        v_all_stuck := v_all_stuck || v_stuck;
    end loop;

    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_agg(jsonb_build_object(
            'kind', 'step_completed', 'run_id', c.run_id, 'workflow_slug', r.workflow_slug, 'step_slug', c.step_slug
        )))
        from unnest(v_all) as c
        join workflow_runs r on r.id = c.run_id
        join workflow_step_states s on s.run_id = c.run_id and s.step_slug = c.step_slug
        where s.status = 'completed';
    end if;
    perform pgflow._count_down(v_all);
    -- Not before the count: a run that has ended is not counted down any more.
    foreach v_stuck_step in array coalesce(v_all_stuck, '{}') loop
        perform pgflow._fail_unmappable(v_stuck_step.run_id, v_stuck_step.step_slug);
    end loop;
    foreach v_oversized_step in array v_oversized loop
        perform pgflow._fail_oversized(v_oversized_step.run_id, v_oversized_step.step_slug);
    end loop;
    return v_fed;
end
$$;
