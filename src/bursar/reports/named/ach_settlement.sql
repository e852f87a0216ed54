-- How long do ACH payments take to settle, in hours: average, median and 95th percentile, by month of settlement?
-- $since DAY = 1970-01-01: first day of settlement, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of settlement
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- settled [payments, total]: debits that settled in the month
-- collected [USD, total]: their amounts
-- average_hours [hours]: from Pay.gov's acceptance to the time at which Bursar learned of the settlement
-- p50_hours [hours]: the same, of the median debit
-- p95_hours [hours]: the same, of the 95th of 100 debits
-- longest_hours [hours]: the same, of the slowest debit
-- chart lines: month; average_hours, p50_hours, p95_hours

WITH accepted AS (
    SELECT agency_tracking_id, min(occurred_at) AS accepted_at
    FROM payment_events
    WHERE to_status = 'pending'
    GROUP BY agency_tracking_id
),

settled AS (
    SELECT
        p.agency_tracking_id,
        CAST(date_trunc('month', p.final_on) AS DATE) AS month,
        p.amount,
        CAST(date_diff('second', a.accepted_at, p.updated_at) AS DOUBLE) / 3600 AS hours
    FROM payments AS p
    INNER JOIN accepted AS a ON p.agency_tracking_id = a.agency_tracking_id
    WHERE p.payment_method = 'ACH'
        AND p.payment_status = 'success'
        AND p.updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND p.updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', p.fee)
        AND CAST($client AS VARCHAR) IN ('*', p.client)
),

ranked AS (
    SELECT month, amount, hours, cume_dist() OVER (PARTITION BY month ORDER BY hours) AS share
    FROM settled
)

SELECT
    month,
    count(*) AS settled,
    sum(amount) AS collected,
    round(avg(hours), 2) AS average_hours,
    round(min(CASE WHEN share >= 0.5 THEN hours END), 2) AS p50_hours,
    round(min(CASE WHEN share >= 0.95 THEN hours END), 2) AS p95_hours,
    round(max(hours), 2) AS longest_hours
FROM ranked
GROUP BY month
ORDER BY month
