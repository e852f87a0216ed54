-- How many payments of each fee were started in each month, and how many US dollars did they bring in, whenever collected?
-- $since DAY = 1970-01-01: first day on which attempts started, America/New_York
-- $until LAST_DAY = 2999-12-31: last day on which attempts started

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
GROUP BY 1, 2
ORDER BY month_started, fee
