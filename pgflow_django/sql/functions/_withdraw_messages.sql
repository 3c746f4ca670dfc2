-- Takes messages of a run out of its queues: all of them, those of one step, or one task of a map out
-- of the message that stands for its neighbours, too. Waits for those who claim some of them just now:
-- what they get has begun. The run's row is locked by the caller, so that nobody sends any meanwhile.
create or replace function pgflow._withdraw_messages(
    run workflow_runs, slug text default null, index integer default null
)
returns void
language plpgsql volatile
as $$
declare
    c_withdraw constant text :=
        'with gone as ('
        '     delete from pgmq.%1$I q'
        '     where q.message->>''run_id'' = $1'
        '         and ($2::text is null or q.message->>''step_slug'' = $2)'
        '         and ($3::integer is null or $3 - (q.message->>''task_index'')::integer'
        '             between 0 and (q.message->>''count'')::integer - 1)'
        '     returning q.enqueued_at, q.vt, q.message, (q.message->>''task_index'')::integer as first,'
        '         (q.message->>''task_index'')::integer + (q.message->>''count'')::integer as next'
        ' )'
        ' insert into pgmq.%1$I (enqueued_at, vt, message)'
        ' select g.enqueued_at, g.vt, g.message || jsonb_build_object(''task_index'', p.first, ''count'', p.count)'
        ' from gone g, lateral (values (g.first, $3 - g.first), ($3 + 1, g.next - $3 - 1)) as p (first, count)'
        ' where p.count > 0';  -- nothing where all of a message goes
    v_queue text;
begin
    for v_queue in
        select 'q_pgflow_' || case when _withdraw_messages.run.owner_id is null then q else 'in_process' end
        from workflow_versions v, unnest(v.queues) as q
        where v.id = _withdraw_messages.run.version_id
        group by 1
    loop
        execute format(c_withdraw, v_queue)
        using (_withdraw_messages.run).id::text, _withdraw_messages.slug, _withdraw_messages.index;
    end loop;
end
$$;
