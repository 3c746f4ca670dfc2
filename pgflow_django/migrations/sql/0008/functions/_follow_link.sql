-- The shortest way from a step to the next one of a chain: settles one result (see
-- settle_and_claim) and hands the task of the only dependent to the same worker, with all that it
-- needs. The result says which one that is ("v": version id, "n": step slug), as the worker was told
-- with the task. Returns the answer of settle_and_claim, or null where this is no such case; then
-- nothing has changed. Raises PF009 where somebody else has moved the task or one of the two steps:
-- then the long way tells what remains to be done.
--
-- The same transitions as in _settle_one, _advance and _describe, without their generality: half of
-- the time of a lone chain would go there. The run's row is locked by its own update, first of all.
create or replace function pgflow._follow_link(result jsonb, worker bigint, claim bigint)
returns text
language plpgsql volatile
as $$
declare
    v_run_id uuid := _follow_link.result->>'r';
    v_slug text := _follow_link.result->>'s';
    v_version_id bigint := _follow_link.result->>'v';
    v_next record;
    v_moved integer;
    v_now timestamptz := clock_timestamp();
begin
    -- Nothing of this changes while the claim covers the task, so it needs no lock.
    select
        r.workflow_slug, r.input, n.step_slug, n.function, n.params, n.timeout, n.max_attempts, n.inputs,
        case when cardinality(n.dependents) = 1 then n.dependents[1] end as next,
        w.hostname || ':' || w.pid as worker
    into v_next
    from workflow_runs r, workflow_version_steps n, workflow_workers w
    where
        r.id = v_run_id and n.version_id = v_version_id and n.step_slug = _follow_link.result->>'n'
        and w.id = _follow_link.worker
        and r.version_id = v_version_id and n.depends_on = array[v_slug]
        and n.step_type = 'single' and n.start_delay = 0
        and (r.owner_id is not null or n.queue = any(w.queues))
        and (w.functions is null or n.function = any(w.functions))
        and w.alone_claim is null
        and (w.makes_room_since is null or not pgflow._makes_room(w.makes_room_since, w.lease_seconds));
    if not found then
        return null;
    end if;

    update workflow_runs r set remaining_steps = r.remaining_steps - 1
    where r.id = v_run_id and r.ended_at is null and r.status <> 'paused';
    if not found then
        return null;
    end if;
    with settled as (
        update workflow_step_tasks t
        set status = 'completed', output = _follow_link.result->'o', claim_id = null, ended_at = v_now
        where
            t.run_id = v_run_id and t.step_slug = v_slug and t.task_index = 0
            and t.claim_id = (_follow_link.result->>'c')::bigint and t.status = 'started'
        returning t.run_id
    ),
    moved as (
        update workflow_step_states s
        set
            status = case when s.step_slug = v_slug then 'completed' else 'started' end,
            remaining_deps = 0,
            remaining_tasks = case when s.step_slug = v_slug then 0 else 1 end,
            initial_tasks = 1,
            output_bytes = case when s.step_slug = v_slug then greatest(
                pg_column_size(_follow_link.result->'o'), (_follow_link.result->>'z')::bigint
            ) else 0 end,
            started_at = case when s.step_slug = v_slug then s.started_at else v_now end,
            ended_at = case when s.step_slug = v_slug then v_now end
        from settled
        where
            s.run_id = v_run_id and s.step_slug in (v_slug, v_next.step_slug)
            and s.status = case when s.step_slug = v_slug then 'started' else 'created' end
        returning s.run_id
    ),
    fed as (
        insert into workflow_step_tasks (
            run_id, step_slug, task_index, status, attempts_count, claim_id, worker, queued_at, started_at
        )
        select d.run_id, v_next.step_slug, 0, 'started', 1, _follow_link.claim, v_next.worker, v_now, v_now
        from settled d
    ),
    held as (
        update workflow_claims c
        set
            tasks = jsonb_build_array(jsonb_build_object(
                'run_id', v_run_id, 'step_slug', v_next.step_slug, 'task_index', 0, 'count', 1
            )),
            claimed_at = v_now
        from settled
        where c.id = _follow_link.claim
        returning c.id
    )
    select count(*) into v_moved from moved, held;
    if v_moved <> 2 then
        -- The claim no longer covers the task, or one of the steps has been ended by hand. To look
        -- first would cost a twentieth.
        raise exception using errcode = 'PF009', message = format(
            'step "%s" of run %s, or the one after it, was moved meanwhile', v_slug, v_run_id
        );
    end if;

    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'step_completed', 'run_id', v_run_id, 'workflow_slug', v_next.workflow_slug, 'step_slug', v_slug
        )));
    end if;
    return json_build_object(
        'accepted', 1,
        'claim', _follow_link.claim,
        'runs', json_build_object(v_run_id, json_build_array(v_next.workflow_slug, v_next.input)),
        'outputs', json_build_array(json_build_array(v_run_id, v_slug, _follow_link.result->'o')),
        'steps', json_build_object(v_version_id, json_build_object(v_next.step_slug, json_build_object(
            'step_type', 'single', 'function', v_next.function, 'params', v_next.params,
            'timeout', v_next.timeout, 'max_attempts', v_next.max_attempts,
            'depends_on', json_build_array(v_slug), 'next', v_next.next, 'inputs', v_next.inputs
        ))),
        'groups', json_build_array(
            json_build_array(v_run_id, v_version_id, v_next.step_slug, '[[0,1,null]]'::json, null)
        )
    );
end
$$;
