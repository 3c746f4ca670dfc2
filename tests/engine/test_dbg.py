import pytest
from tests.engine.test_concurrency import *
from tests.engine import test_concurrency as tc
from tests.engine.database import query
del_names=[n for n in list(globals()) if n.startswith("test_")]
for n in del_names:
    del globals()[n]
@pytest.mark.parametrize("n", range(60))
@pytest.mark.parametrize("seed", [229,7,8])
def test_big(seed, n, register):
    try:
        tc.test_anything_at_once_leaves_everything_consistent(seed, register)
    except AssertionError as e:
        if "not ended" in str(e):
            print()
            from tests.engine.database import messages
            print("MSG", messages())
            print("W", query("select * from workflow_workers"), "C", query("select * from workflow_claims"))
            for (rid,) in query("select id from workflow_runs where ended_at is null"):
                print(query("select status, remaining_steps, version_id, owner_id from workflow_runs where id=%s", rid))
                print(query("select step_slug,status,remaining_deps,remaining_tasks,initial_tasks,started_at from workflow_step_states where run_id=%s", rid))
                for r in query("select step_slug,task_index,status,claim_id,attempts_count,queued_at,started_at,error from workflow_step_tasks where run_id=%s and status<>'completed'", rid): print(r)
                print(query("select * from workflow_run_events where run_id=%s", rid))
                for r in query("select * from workflow_task_attempts where run_id=%s", rid): print(r)
                for r in query("select * from engine_audit where run_id=%s", rid): print(r[1:])
        raise
