-- One group of _describe: a step of a run with its claimed tasks, [task_index, attempt, item] each.
create or replace function pgflow._describe_step(
    run uuid, workflow_slug text, step workflow_version_steps, tasks json, is_plain boolean
)
returns json
language plpgsql stable
as $$
begin
    return json_build_object(
        'run_id', _describe_step.run,
        'workflow_slug', _describe_step.workflow_slug,
        'step_slug', _describe_step.step.step_slug,
        'step_type', _describe_step.step.step_type,
        'function', _describe_step.step.function,
        'params', _describe_step.step.params,
        'timeout', _describe_step.step.timeout,
        'max_attempts', _describe_step.step.max_attempts,
        'tasks', _describe_step.tasks,
        case when _describe_step.step.step_type = 'map' then 'broadcast' else 'deps' end,
        case
            when _describe_step.step.step_type = 'single' then
                pgflow._dep_outputs(_describe_step.run, _describe_step.step.version_id, _describe_step.step.depends_on)
            when _describe_step.is_plain then
                json_build_array(pgflow._map_source(_describe_step.run, _describe_step.step.depends_on[1]))
        end
    );
end
$$;
