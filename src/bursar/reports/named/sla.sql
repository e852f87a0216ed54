-- How long do starting, completing and settling take, which share met its target, and how many are stuck?
-- $since DAY = -90: first day on which attempts started, Eastern time
-- $until LAST_DAY = 2999-12-31: last day on which attempts started
-- $init_target_s DECIMAL = 3: seconds in which an application should have its token
-- $process_target_s DECIMAL = 10: seconds in which the outcome of a completion should be known
-- $settle_target_days DECIMAL = 5: days in which an accepted payment should settle
-- $stuck_days INTEGER = 5: days after which an attempt that is still settling is stuck
-- $now TIMESTAMP = now: the time at which "stuck" is judged
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- attempts [attempts]: attempts that reached the end of this step
-- target_s [duration]: the target of the step
-- met [share]: attempts that met the target
-- average_s [duration]: duration of the step
-- p50_s [duration]: the same, of the median attempt
-- p95_s [duration]: the same, of the 95th of 100 attempts
-- longest_s [duration]: the same, of the slowest attempt

WITH attempts AS (
    SELECT agency_tracking_id, payment_status, created_at, updated_at, token_at
    FROM payments
    WHERE created_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND created_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
),

moments AS (
    SELECT
        agency_tracking_id,
        min(CASE WHEN event = 'claimed' THEN occurred_at END) AS claimed_at,
        min(CASE WHEN from_status = 'processing' AND to_status <> 'processing' THEN occurred_at END) AS answered_at,
        min(CASE WHEN to_status = 'pending' THEN occurred_at END) AS accepted_at
    FROM payment_events
    WHERE occurred_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    GROUP BY agency_tracking_id
),

measured AS (
    SELECT
        '1 init: application asks to token given' AS measure,
        CAST($init_target_s AS DOUBLE) AS target_s,
        CAST(date_diff('millisecond', a.created_at, a.token_at) AS DOUBLE) / 1000 AS seconds
    FROM attempts AS a
    WHERE a.token_at IS NOT NULL
    UNION ALL
    SELECT
        '2 process: claimed to outcome known' AS measure,
        CAST($process_target_s AS DOUBLE) AS target_s,
        CAST(date_diff('millisecond', m.claimed_at, m.answered_at) AS DOUBLE) / 1000 AS seconds
    FROM attempts AS a
    INNER JOIN moments AS m ON a.agency_tracking_id = m.agency_tracking_id
    WHERE m.claimed_at IS NOT NULL AND m.answered_at IS NOT NULL
    UNION ALL
    SELECT
        '3 settle: accepted to settled' AS measure,
        CAST($settle_target_days AS DOUBLE) * 86400 AS target_s,
        CAST(date_diff('millisecond', m.accepted_at, a.updated_at) AS DOUBLE) / 1000 AS seconds
    FROM attempts AS a
    INNER JOIN moments AS m ON a.agency_tracking_id = m.agency_tracking_id
    WHERE m.accepted_at IS NOT NULL AND a.payment_status = 'success'
    UNION ALL
    SELECT
        '4 stuck: started and still settling' AS measure,
        CAST(NULL AS DOUBLE) AS target_s,
        CAST(date_diff('millisecond', created_at, CAST($now AS TIMESTAMP WITH TIME ZONE)) AS DOUBLE) / 1000 AS seconds
    FROM payments -- whenever they started
    WHERE status = 'pending'
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
        AND date_diff('second', created_at, CAST($now AS TIMESTAMP WITH TIME ZONE))
            > CAST($stuck_days AS INTEGER) * 86400
),

ranked AS (
    SELECT measure, target_s, seconds, cume_dist() OVER (PARTITION BY measure ORDER BY seconds) AS share
    FROM measured
)

SELECT
    measure,
    count(*) AS attempts,
    min(target_s) AS target_s,
    round(avg(CASE WHEN seconds <= target_s THEN 1e0 WHEN seconds > target_s THEN 0e0 END), 4) AS met,
    round(avg(seconds), 3) AS average_s,
    round(min(CASE WHEN share >= 0.5 THEN seconds END), 3) AS p50_s,
    round(min(CASE WHEN share >= 0.95 THEN seconds END), 3) AS p95_s,
    round(max(seconds), 3) AS longest_s
FROM ranked
GROUP BY measure
ORDER BY measure
