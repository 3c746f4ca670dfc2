-- Refuses to act upon a step, or upon one task of it, that the run does not have or that is done.
create or replace function pgflow._require_step(run workflow_runs, slug text, index integer)
returns void
language plpgsql volatile
as $$
declare
    v_step workflow_step_states;
    v_task_status text;
begin
    select * into v_step from workflow_step_states s
    where s.run_id = (_require_step.run).id and s.step_slug = _require_step.slug;
    if not found then
        perform pgflow._refuse('step_not_found', format(
            'run %s of flow "%s" has no step "%s"',
            (_require_step.run).id, (_require_step.run).workflow_slug, _require_step.slug
        ));
    elsif v_step.status in ('completed', 'skipped') then
        perform pgflow._refuse('step_already_done', format(
            'step "%s" of run %s is %s already', _require_step.slug, v_step.run_id, v_step.status
        ));
    elsif _require_step.index is null then
        return;
    end if;

    select t.status into v_task_status from workflow_step_tasks t
    where t.run_id = v_step.run_id and t.step_slug = v_step.step_slug and t.task_index = _require_step.index;
    if v_task_status in ('completed', 'skipped') then
        perform pgflow._refuse('step_already_done', format(
            'task %s of step "%s" of run %s is %s already',
            _require_step.index, _require_step.slug, v_step.run_id, v_task_status
        ));
    elsif v_task_status is null and v_step.initial_tasks is not null then
        perform pgflow._refuse('task_not_found', format(
            'step "%s" of run %s has no task %s: it has %s, counted from 0',
            _require_step.slug, v_step.run_id, _require_step.index, v_step.initial_tasks
        ));
    end if;
end
$$;
