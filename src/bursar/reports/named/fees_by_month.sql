-- How many payments of each fee were started in each month, and how many US dollars did they bring in, whenever collected?
-- $since DAY = 1970-01-01: first day on which attempts started, Eastern time
-- $until LAST_DAY = 2999-12-31: last day on which attempts started
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- attempts [attempts, total]: attempts that started in the month
-- successful [attempts, total]: of these, the ones that are paid by now
-- failed [attempts, total]: of these, the ones that failed
-- pending [attempts, total]: of these, the ones that have not ended
-- collected_of_started [USD, total]: amounts of the successful ones, whenever they were collected
-- chart bars: month_started; collected_of_started; fee

SELECT
    CAST(date_trunc('month', created_on) AS DATE) AS month_started,
    fee,
    count(*) AS attempts,
    sum(CASE WHEN payment_status = 'success' THEN 1 ELSE 0 END) AS successful,
    sum(CASE WHEN payment_status = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN payment_status = 'pending' THEN 1 ELSE 0 END) AS pending,
    sum(CASE WHEN payment_status = 'success' THEN amount ELSE CAST(0 AS DECIMAL(18, 2)) END) AS collected_of_started
FROM payments
WHERE created_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND created_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($fee AS VARCHAR) IN ('*', fee)
    AND CAST($client AS VARCHAR) IN ('*', client)
GROUP BY 1, 2
ORDER BY month_started, fee
