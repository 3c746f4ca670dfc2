-- Ends failed attempts: queues the task again after its delay, or, where no attempt is left, fails
-- task, step and run. Returns how many failures counted; late ones change nothing.
--
-- failures  [{"r": run id, "s": step slug, "i": task index, "c": claim id, "code", "error_type",
--           "error_message", "traceback", "permanent": bool, "delay": seconds or null,
--           "problems": places at which a value broke a contract, or absent}]
create or replace function pgflow.fail_tasks(failures jsonb)
returns integer
language plpgsql volatile
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    v_failure record;
    v_accepted integer := 0;
begin
    perform from workflow_runs r
    where r.id = any(array(select distinct (f->>'r')::uuid from jsonb_array_elements(fail_tasks.failures) as f))
    order by r.id
    for update;

    for v_failure in
        select f.*
        from jsonb_to_recordset(fail_tasks.failures) as f (
            r uuid, s text, i integer, c bigint, code text, error_type text, error_message text,
            traceback text, permanent boolean, delay double precision, problems jsonb
        )
    loop
        v_accepted := v_accepted + pgflow._fail_task(
            v_failure.r, v_failure.s, v_failure.i, v_failure.c, v_failure.permanent, v_failure.delay,
            jsonb_build_object(
                'code', v_failure.code, 'error_type', v_failure.error_type,
                'error_message', v_failure.error_message, 'traceback', v_failure.traceback
            ) || case
                when v_failure.problems is null then '{}' else jsonb_build_object('problems', v_failure.problems)
            end
        );
    end loop;
    return v_accepted;
end
$$;
