-- A completed step's output: its task's, or for a map the list of its tasks' in task order, where a
-- skipped one has null. Null of a step that was skipped.
--
-- Volatile on purpose: it is called for the last of several leaf steps that finish at once, and
-- must see what was committed while that call waited for the run's row.
create or replace function pgflow._step_output(run uuid, slug text, step_type text)
returns jsonb
language plpgsql volatile
as $$
begin
    if _step_output.step_type = 'single' then
        return (
            select t.output from workflow_step_tasks t
            where t.run_id = _step_output.run and t.step_slug = _step_output.slug and t.task_index = 0
        );
    end if;
    return (
        select (
            select coalesce(jsonb_agg(t.output order by t.task_index), '[]')
            from workflow_step_tasks t
            where t.run_id = _step_output.run and t.step_slug = _step_output.slug
        )
        from workflow_step_states s
        where s.run_id = _step_output.run and s.step_slug = _step_output.slug and s.status <> 'skipped'
    );
end
$$;
