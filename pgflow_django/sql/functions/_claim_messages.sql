-- Takes up to `wanted` tasks out of the caller's queues, oldest messages first, and starts them
-- under `claim_id`. A message of more tasks than wanted keeps the rest, in its place.
--
-- One statement does what pgmq.read, a look at what can be run, and pgmq.delete would do in three.
-- Messages whose function the caller lacks stay untouched. A message marked `alone` (its tasks
-- were lost together with others) is only taken by itself.
create or replace function pgflow._claim_messages(
    caller workflow_workers, claim_id bigint, wanted integer, run uuid
)
returns pgflow.task_range[]
language plpgsql volatile
set search_path from current
as $$
declare
    c_take constant text := $query$
        with visible as materialized (
            select q.msg_id, (q.message->>'count')::integer as count, q.message
            from pgmq.%1$I q
            where
                q.vt <= clock_timestamp()
                and ($2::text is null or q.message->>'run_id' = $2)
                and ($3::text[] is null or q.message->>'function' = any($3))
            order by q.msg_id
            -- Lock no more messages than it will probably take, so that others find some, too.
            limit (
                select ceil($1 / avg(n.count))
                from (
                    select (p.message->>'count')::numeric as count from pgmq.%1$I p
                    where p.vt <= clock_timestamp() and ($2::text is null or p.message->>'run_id' = $2)
                    order by p.msg_id limit 5
                ) n
            )
            for update skip locked
        ),
        summed as (
            select
                v.*, sum(v.count) over w - v.count as before,
                coalesce(v.message->>'alone', 'false')::boolean as alone,
                bool_or(coalesce(v.message->>'alone', 'false')::boolean) over w as has_alone,
                row_number() over w as nth
            from visible v
            window w as (order by v.msg_id)
        ),
        taken as (
            select s.*, least(s.count, $1 - s.before)::integer as take
            from summed s
            where s.before < $1 and (not s.has_alone or s.nth = 1)
        ),
        emptied as (
            delete from pgmq.%1$I q using taken t where q.msg_id = t.msg_id and t.take = t.count
        ),
        shortened as (
            update pgmq.%1$I q
            set message = q.message || jsonb_build_object(
                'task_index', (q.message->>'task_index')::integer + t.take, 'count', t.count - t.take
            )
            from taken t where q.msg_id = t.msg_id and t.take < t.count
        )
        select array_agg(row(
            (t.message->>'run_id')::uuid, t.message->>'step_slug', (t.message->>'task_index')::integer, t.take
        )::pgflow.task_range order by t.msg_id), sum(t.take)
        from taken t
    $query$;
    v_queue text;
    v_ranges pgflow.task_range[];
    v_some pgflow.task_range[];
    v_left integer := _claim_messages.wanted;
    v_count integer;
begin
    foreach v_queue in array
        case when _claim_messages.run is null then _claim_messages.caller.queues else '{in_process}' end
    loop
        exit when v_left <= 0;
        execute format(c_take, 'q_pgflow_' || v_queue)
        into v_some, v_count
        using v_left, _claim_messages.run::text, _claim_messages.caller.functions;
        if v_count > 0 then
            v_ranges := v_ranges || v_some;
            v_left := v_left - v_count;
        end if;
    end loop;
    if v_ranges is null then
        return null;
    end if;

    update workflow_step_tasks t
    set
        status = 'started', attempts_count = t.attempts_count + 1, claim_id = _claim_messages.claim_id,
        worker = _claim_messages.caller.hostname || ':' || _claim_messages.caller.pid,
        started_at = clock_timestamp()
    from unnest(v_ranges) as g
    where
        t.run_id = g.run_id and t.step_slug = g.step_slug
        and t.task_index >= g.task_index and t.task_index < g.task_index + g.count
        and t.status = 'queued';
    return v_ranges;
end
$$;
