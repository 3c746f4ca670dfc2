-- Room on the pages for updates in place (HOT): a task's row is written three times, a step
-- state's too, a run's once per step, a claim's at every batch.
alter table workflow_runs set (fillfactor = 70);
alter table workflow_step_states set (fillfactor = 60);
alter table workflow_step_tasks set (fillfactor = 60);
alter table workflow_claims set (
    fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000
);
