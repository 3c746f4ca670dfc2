-- Sends the tasks of one step of a paused run that are queued, or one of them, to be tried before the
-- rest of the run goes on; see retry_run. Refuses where there are none.
create or replace function pgflow._send_first(run workflow_runs, slug text, index integer)
returns void
language plpgsql volatile
as $$
begin
    perform from workflow_runs r where r.id = (_send_first.run).id and r.status = 'paused';
    if not found then  -- it has ended again at once
        return;
    end if;
    perform from workflow_step_tasks t
    where
        t.run_id = (_send_first.run).id and t.step_slug = _send_first.slug
        and t.task_index = coalesce(_send_first.index, t.task_index) and t.status = 'queued';
    if not found then
        perform pgflow._refuse('task_not_found', format(
            'step "%s" of run %s has no such task that could be tried: what it waits for is not done',
            _send_first.slug, (_send_first.run).id
        ));
    end if;
    perform pgflow._resend_tasks(
        array(
            select row(
                (_send_first.run).id, vs.version_id, (_send_first.run).workflow_slug, vs.step_slug, vs.step_type,
                null, vs.function, pgflow._queue_of('started', (_send_first.run).owner_id, vs.queue), 0
            )::pgflow.ready_step
            from workflow_version_steps vs
            where vs.version_id = (_send_first.run).version_id and vs.step_slug = _send_first.slug
        ),
        _send_first.index
    );
end
$$;
