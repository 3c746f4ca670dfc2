-- Refuses a verdict that can't be given; see decide_step. Returns the index of the task that it is for,
-- null where it is for all of the step: also for the only task of a single step.
create or replace function pgflow._check_verdict(
    run workflow_runs, slug text, index integer, verdict text, output jsonb, downstream boolean
)
returns integer
language plpgsql volatile
as $$
declare
    v_step record;
    v_index integer := _check_verdict.index;
    v_mapped text;
begin
    perform pgflow._require_step(_check_verdict.run, _check_verdict.slug, v_index);
    select s.initial_tasks, vs.step_type, vs.depends_on[1] as dep into v_step
    from workflow_step_states s
    join workflow_version_steps vs
        on vs.version_id = (_check_verdict.run).version_id and vs.step_slug = s.step_slug
    where s.run_id = (_check_verdict.run).id and s.step_slug = _check_verdict.slug;

    if v_index is not null and v_step.initial_tasks is null and (v_step.step_type = 'map' or v_index <> 0) then
        perform pgflow._refuse('task_not_found', format(
            'step "%s" of run %s has no task %s: it has not begun',
            _check_verdict.slug, (_check_verdict.run).id, v_index
        ));
    elsif v_index is not null and v_step.step_type = 'map' then
        if _check_verdict.downstream then
            perform pgflow._refuse('step_not_skippable', format(
                'task %s of step "%s" can''t be skipped with what comes after it: that waits for the whole step',
                v_index, _check_verdict.slug
            ));
        end if;
        return v_index;
    end if;

    if _check_verdict.verdict = 'completed' and v_step.step_type = 'map' then
        -- A map over a map has as many tasks as that, also where it has not begun.
        v_step.initial_tasks := coalesce(v_step.initial_tasks, (
            select s.initial_tasks from workflow_step_states s
            join workflow_version_steps vs
                on vs.version_id = (_check_verdict.run).version_id and vs.step_slug = s.step_slug
            where s.run_id = (_check_verdict.run).id and s.step_slug = v_step.dep and vs.step_type = 'map'
        ));
        if jsonb_typeof(_check_verdict.output) <> 'array' then
            perform pgflow._refuse('output_size_differs', format(
                'the output of map step "%s" must be an array with the output of each of its tasks, not %s %s',
                _check_verdict.slug,
                case when jsonb_typeof(_check_verdict.output) = 'object' then 'an' else 'a' end,
                jsonb_typeof(_check_verdict.output)
            ));
        elsif jsonb_array_length(_check_verdict.output) <> v_step.initial_tasks then
            perform pgflow._refuse('output_size_differs', format(
                'the output of map step "%s" must be an array of %s, one for each of its tasks, not of %s',
                _check_verdict.slug, v_step.initial_tasks, jsonb_array_length(_check_verdict.output)
            ));
        end if;
    elsif _check_verdict.verdict = 'skipped' and not _check_verdict.downstream then
        select vs.step_slug into v_mapped
        from workflow_version_steps vs
        join workflow_step_states s on s.run_id = (_check_verdict.run).id and s.step_slug = vs.step_slug
        where
            vs.version_id = (_check_verdict.run).version_id and vs.depends_on = array[_check_verdict.slug]
            and vs.step_type = 'map' and s.status not in ('completed', 'skipped')
            and not exists (
                select from workflow_step_tasks t
                where
                    t.run_id = s.run_id and t.step_slug = _check_verdict.slug and t.status = 'completed'
            )
        order by vs.step_index limit 1;
        if found then
            perform pgflow._refuse('step_not_skippable', format(
                'step "%s" can''t be skipped alone: step "%s" maps over what it gives. Skip all that comes after '
                'it, too (downstream), or complete it with a list', _check_verdict.slug, v_mapped
            ));
        end if;
    end if;
    return null;
end
$$;
