-- How many payments does each application have in each status, and how many US dollars are they?
-- $since DAY = 1970-01-01: first day on which attempts started, Eastern time
-- $until LAST_DAY = 2999-12-31: last day on which attempts started
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- attempts [attempts, total]: attempts that started in the frame and have this status now
-- amount [USD, total]: their amounts, collected or not
-- chart bars: client; attempts; payment_status

SELECT
    client,
    payment_status,
    status,
    count(*) AS attempts,
    sum(amount) AS amount,
    min(created_at) AS first_started,
    max(updated_at) AS last_changed
FROM payments
WHERE created_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND created_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($fee AS VARCHAR) IN ('*', fee)
    AND CAST($client AS VARCHAR) IN ('*', client)
GROUP BY client, payment_status, status
ORDER BY client, payment_status, status
