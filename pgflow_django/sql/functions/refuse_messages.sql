-- For a worker whose claims the database refuses, and would refuse again: finds the messages at fault
-- among the next that it would claim, and ends what they stand for. The run of such a message
-- fails; a message that names no run is taken out of the queue, into pgmq's archive.
-- Returns [{"queue", "msg_id", "run_id", "message"}], what PostgreSQL said of each, as JSON text; null
-- for none.
create or replace function pgflow.refuse_messages(worker bigint, run uuid default null)
returns text
language plpgsql volatile
set search_path from current
as $$
declare
    c_look constant integer := 1000;
    v_caller workflow_workers;
    v_queue text;
    v_message record;
    v_run_id uuid;
    v_state text;
    v_text text;
    v_refused jsonb;
begin
    select * into v_caller from workflow_workers w where w.id = refuse_messages.worker;
    foreach v_queue in array
        case when refuse_messages.run is null then coalesce(v_caller.queues, '{}') else '{in_process}' end
    loop
        for v_message in
            execute format(
                'select q.msg_id, q.message from pgmq.%I q where q.vt <= clock_timestamp()'
                ' and ($1::text is null or q.message->>''run_id'' = $1)'
                ' and ($2::text[] is null or q.message->>''function'' = any($2))'
                ' order by q.enqueued_at, q.msg_id limit $3 for update skip locked',
                'q_pgflow_' || v_queue
            ) using refuse_messages.run::text, v_caller.functions, c_look
        loop
            v_text := null;
            begin
                perform pgflow._try_message(v_message.message);
            exception
                when sqlstate 'PF007' then null;  -- as it should: what was tried is undone
                when others then
                    get stacked diagnostics v_state = returned_sqlstate, v_text = message_text;
                    if v_state like '40%' then
                        raise;
                    end if;
            end;
            if v_text is null then
                continue;
            end if;
            select r.id into v_run_id from workflow_runs r where r.id::text = v_message.message->>'run_id';
            if found then
                perform pgflow._end_run(v_run_id, 'failed', v_message.message->>'step_slug', jsonb_build_object(
                    'code', 'database_refused',
                    'step_slug', v_message.message->>'step_slug',
                    'error_type', 'DatabaseRefused',
                    'error_message', format(
                        'PostgreSQL can''t hand out step "%s": %s (SQLSTATE %s). It would refuse again: fix what it '
                        'names, then retry the run', v_message.message->>'step_slug', v_text, v_state
                    )
                ));
            else
                execute format(
                    'with gone as (delete from pgmq.%I q where q.msg_id = $1 returning q.*)'
                    ' insert into pgmq.%I (msg_id, read_ct, enqueued_at, vt, message)'
                    ' select g.msg_id, g.read_ct, g.enqueued_at, g.vt, g.message from gone g',
                    'q_pgflow_' || v_queue, 'a_pgflow_' || v_queue
                ) using v_message.msg_id;
            end if;
            v_refused := coalesce(v_refused, '[]') || jsonb_build_object(
                'queue', v_queue, 'msg_id', v_message.msg_id, 'run_id', v_run_id, 'message', v_text
            );
        end loop;
    end loop;
    return v_refused::text;
end
$$;
