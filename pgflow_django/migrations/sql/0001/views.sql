-- The outputs of completed steps: one row a step, a map's as the list of its tasks' in task order.
create view pgflow.step_outputs as
select
    s.run_id,
    s.step_slug,
    case vs.step_type
        when 'single' then (
            select t.output from workflow_step_tasks t
            where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = 0
        )
        else (
            select coalesce(jsonb_agg(t.output order by t.task_index), '[]') from workflow_step_tasks t
            where t.run_id = s.run_id and t.step_slug = s.step_slug
        )
    end as output
from workflow_step_states s
join workflow_runs r on r.id = s.run_id
join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = s.step_slug
where s.status = 'completed';
