-- Puts messages for ready steps into their queues: one for a single step, one per 100 tasks of a
-- map. Passes over steps of a paused run, which have no queue.
create or replace function pgflow._send_tasks(ready pgflow.ready_step[])
returns void
language plpgsql volatile
as $$
declare
    v_step pgflow.ready_step;
    v_queue text;
    v_visible_at timestamptz[];
    v_messages jsonb[];
begin
    foreach v_step in array _send_tasks.ready loop
        continue when v_step.queue is null;
        if v_queue <> v_step.queue then
            perform pgflow._send_messages(v_queue, v_visible_at, v_messages);
            v_visible_at := '{}';
            v_messages := '{}';
        end if;
        v_queue := v_step.queue;
        for v_first in 0 .. v_step.tasks - 1 by 100 loop
            v_visible_at := v_visible_at || clock_timestamp() + make_interval(secs => v_step.start_delay);
            v_messages := v_messages || jsonb_build_object(
                'workflow_slug', v_step.workflow_slug, 'run_id', v_step.run_id, 'step_slug', v_step.step_slug,
                'task_index', v_first, 'count', least(100, v_step.tasks - v_first), 'function', v_step.function
            );
        end loop;
    end loop;
    perform pgflow._send_messages(v_queue, v_visible_at, v_messages);
end
$$;
