-- Deletes up to `batch` runs, in one transaction, as prune_rows does. Returns how many; a number below
-- `batch` says that none is left.
create or replace function pgflow.prune_runs(before timestamptz, statuses text[], batch integer)
returns integer
language plpgsql volatile
set search_path from current
as $$
declare
    v_slice record;
    v_after uuid;
    v_runs integer := 0;
begin
    loop
        select * into v_slice
        from pgflow.prune_rows(prune_runs.before, prune_runs.statuses, 10000, v_after, prune_runs.batch - v_runs);
        v_runs := v_runs + v_slice.runs;
        v_after := v_slice.next;
        exit when v_after is null or v_runs >= prune_runs.batch;
    end loop;
    return v_runs;
end
$$;
