-- How do volume and failure rate develop from day to day, and over the seven days up to each day?
-- $since DAY = 1970-01-01: first day on which attempts started, Eastern time
-- $until LAST_DAY = 2999-12-31: last day on which attempts started
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- attempts [attempts, total]: attempts that started on the day
-- successful [attempts, total]: of these, the ones that are paid by now
-- failed [attempts, total]: of these, the ones that failed
-- collected_of_started [USD, total]: amounts of the successful ones, whenever they were collected
-- failure_rate [share]: failed ones of those that have ended
-- attempts_7_days [attempts]: attempts of the seven days up to the day
-- failure_rate_7_days [share]: the failure rate of these seven days
-- chart lines: day; failure_rate, failure_rate_7_days

WITH days AS (
    SELECT
        created_on AS day,
        count(*) AS attempts,
        sum(CASE WHEN payment_status = 'success' THEN 1 ELSE 0 END) AS successful,
        sum(CASE WHEN payment_status = 'failed' THEN 1 ELSE 0 END) AS failed,
        sum(CASE WHEN payment_status = 'success' THEN amount ELSE CAST(0 AS DECIMAL(18, 2)) END) AS collected_of_started
    FROM payments
    -- Six days more than are shown: the seven days up to the first day begin there.
    WHERE created_at >= CAST($since AS TIMESTAMP WITH TIME ZONE) - INTERVAL '7' DAY
        AND created_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
    GROUP BY 1
),

weeks AS (
    SELECT
        day,
        attempts,
        successful,
        failed,
        collected_of_started,
        sum(attempts) OVER seven_days AS attempts_7_days,
        sum(successful) OVER seven_days AS successful_7_days,
        sum(failed) OVER seven_days AS failed_7_days
    FROM days
    WINDOW seven_days AS (ORDER BY day RANGE BETWEEN INTERVAL '6' DAY PRECEDING AND CURRENT ROW)
)

SELECT
    day,
    attempts,
    successful,
    failed,
    collected_of_started,
    -- Of the attempts that have ended; those still open may go either way.
    round(CAST(failed AS DOUBLE) / NULLIF(successful + failed, 0), 4) AS failure_rate,
    attempts_7_days,
    round(CAST(failed_7_days AS DOUBLE) / NULLIF(successful_7_days + failed_7_days, 0), 4) AS failure_rate_7_days
FROM weeks
WHERE day >= CAST(CAST($since AS TIMESTAMP WITH TIME ZONE) AT TIME ZONE 'America/New_York' AS DATE)
ORDER BY day
