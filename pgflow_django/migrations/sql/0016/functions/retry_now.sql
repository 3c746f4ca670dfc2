-- Ends the wait of tasks for their next attempt: of a whole run, of one step or of one task. Those of a
-- paused run are due when it is resumed. Returns {"before": the run's status, "tasks": how many there
-- were}, as JSON text; null where there is no such run. Refuses where nothing waits.
create or replace function pgflow.retry_now(
    run uuid, slug text default null, index integer default null, by text default ''
)
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
as $$
declare
    c_hurry constant text :=
        'update pgmq.%I q set vt = $3, enqueued_at = $3'
        ' from unnest($2) as w'
        ' where q.message->>''run_id'' = $1 and q.vt > $3'
        '     and q.message->>''step_slug'' = w.step_slug and (q.message->>''task_index'')::integer = w.task_index';
    v_run workflow_runs := pgflow._lock_run(retry_now.run);
    v_waiting pgflow.task_range[];
    v_queue text;
    v_now timestamptz := clock_timestamp();
begin
    if v_run.id is null then
        return null;
    end if;
    if retry_now.slug is not null then
        perform pgflow._require_step(v_run, retry_now.slug, retry_now.index);
    end if;
    with hurried as (
        update workflow_task_attempts a set retry_at = v_now
        from workflow_step_tasks t
        where
            v_run.ended_at is null
            and a.run_id = v_run.id and a.round = v_run.round and a.retry_at > v_now
            and a.step_slug = coalesce(retry_now.slug, a.step_slug)
            and a.task_index = coalesce(retry_now.index, a.task_index)
            and t.run_id = a.run_id and t.step_slug = a.step_slug and t.task_index = a.task_index
            and t.status = 'queued' and t.attempts_count = a.attempt
        returning a.run_id, a.step_slug, a.task_index
    )
    select array_agg(row(h.run_id, h.step_slug, h.task_index, 1)::pgflow.task_range) into v_waiting
    from hurried h;
    if v_waiting is null then
        perform pgflow._refuse('nothing_to_retry', format(
            'nothing of %srun %s waits for another attempt',
            case when retry_now.slug is not null then format('step "%s" of ', retry_now.slug) else '' end, v_run.id
        ));
    end if;

    for v_queue in
        select pgflow._queue_of('started', v_run.owner_id, vs.queue)
        from workflow_version_steps vs
        where
            vs.version_id = v_run.version_id
            and vs.step_slug = any(array(select w.step_slug from unnest(v_waiting) as w))
        group by 1
    loop
        execute format(c_hurry, 'q_pgflow_' || v_queue) using v_run.id::text, v_waiting, v_now;
        perform pgflow._wake_sleepers(v_queue);
    end loop;
    perform pgflow._note_action(
        v_run.id, 'retried_now',
        case cardinality(v_waiting)
            when 1 then 'a task that waited for its next attempt is due'
            else format('%s tasks that waited for their next attempt are due', cardinality(v_waiting))
        end,
        retry_now.by, '', retry_now.slug, retry_now.index, jsonb_build_object('tasks', cardinality(v_waiting))
    );
    return jsonb_build_object('before', v_run.status, 'tasks', cardinality(v_waiting))::text;
end
$$;
