-- Hands back claimed tasks whose functions have not begun: they are queued again at once, for
-- anybody, and no attempt is spent. Returns how many were handed back.
--
-- A single task has its place again: it is ranked by when it was due. Those of a map go behind what
-- waits now, as the rest of a claimed range does, and join it where it still lies there: else a map
-- would have more and more turns.
--
-- tasks  [{"r": run id, "s": step slug, "i": task index, "c": claim id}]
create or replace function pgflow.release_tasks(tasks jsonb)
returns integer
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_join constant text :=
        'update pgmq.%1$I q set message = q.message || jsonb_build_object('
        '    ''task_index'', $3, ''count'', (q.message->>''count'')::integer + $4'
        ' )'
        ' where q.msg_id = ('
        '     select m.msg_id from pgmq.%1$I m'
        '     where m.message->>''run_id'' = $1 and m.message->>''step_slug'' = $2'
        '         and (m.message->>''task_index'')::integer = $3 + $4 and not m.message @> ''{"alone": true}'''
        '     limit 1 for update skip locked'
        ' )';
    v_range record;
    v_joined integer;
    v_released integer := 0;
begin
    perform from workflow_runs r
    where r.id = any(array(select distinct (f->>'r')::uuid from jsonb_array_elements(release_tasks.tasks) as f))
    order by r.id
    for key share;

    for v_range in
        with mine as (
            select t.run_id, t.step_slug, t.task_index
            from jsonb_to_recordset(release_tasks.tasks) as f (r uuid, s text, i integer, c bigint)
            join workflow_step_tasks t
                on t.run_id = f.r and t.step_slug = f.s and t.task_index = f.i
                and t.claim_id = f.c and t.status = 'started'
            where f.i between 0 and 2147483647  -- always; for the plan, see settle_and_claim
            order by t.run_id, t.step_slug, t.task_index
            for update of t
        ),
        freed as (
            update workflow_step_tasks t
            set status = 'queued', claim_id = null, attempts_count = t.attempts_count - 1
            from mine m
            where t.run_id = m.run_id and t.step_slug = m.step_slug and t.task_index = m.task_index
            returning t.run_id, t.step_slug, t.task_index, t.attempts_count, t.queued_at, t.started_at
        )
        select
            r.id as run_id, r.workflow_slug, f.step_slug, vs.step_type, vs.function,
            pgflow._queue_of(r.status, r.owner_id, vs.queue) as queue,
            min(f.task_index) as first, count(*)::integer as count,
            min(case
                when vs.step_type = 'map' then clock_timestamp()
                when f.attempts_count = 0 then f.queued_at + make_interval(secs => vs.start_delay)
                else f.started_at
            end) as due_at
        from (
            select x.*, x.task_index - row_number() over w as gap
            from freed x window w as (partition by x.run_id, x.step_slug order by x.task_index)
        ) as f
        join workflow_runs r on r.id = f.run_id
        join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = f.step_slug
        group by r.id, vs.version_id, vs.step_slug, f.step_slug, f.gap
        order by r.id, f.step_slug, min(f.task_index)
    loop
        v_released := v_released + v_range.count;
        continue when v_range.queue is null;  -- the run is paused
        v_joined := 0;
        if v_range.step_type = 'map' then
            execute format(c_join, 'q_pgflow_' || v_range.queue)
            using v_range.run_id::text, v_range.step_slug, v_range.first, v_range.count;
            get diagnostics v_joined = row_count;
        end if;
        if v_joined = 0 then
            perform pgflow._send_messages(
                v_range.queue, array[v_range.due_at],
                array[jsonb_build_object(
                    'workflow_slug', v_range.workflow_slug, 'run_id', v_range.run_id, 'step_slug', v_range.step_slug,
                    'task_index', v_range.first, 'count', v_range.count, 'function', v_range.function
                )]
            );
        end if;
    end loop;
    return v_released;
end
$$;
