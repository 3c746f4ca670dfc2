-- Seconds until the try after attempt number `attempt`: base_delay * 2^(attempt - 1), at most an
-- hour, plus up to 10 % so that tasks that failed together don't come back together.
create or replace function pgflow.calculate_retry_delay(base_delay integer, attempt integer)
returns double precision
language sql volatile parallel safe
as $$
    -- The exponent is bounded, since 2^attempt overflows long before the cap could act.
    select least(3600.0, base_delay * power(2, least(greatest(attempt, 1) - 1, 30)) * (1 + 0.1 * random()))
$$;
