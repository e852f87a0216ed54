-- How many payments were made of each fee type in each month, and how much was collected?
-- $since DATE = 1970-01-01: first day on which attempts started, America/New_York
-- $until DATE = 9999-12-31: last such day

SELECT
    CAST(date_trunc('month', created_at AT TIME ZONE 'America/New_York') AS DATE) AS month,
    fee,
    count(*) AS attempts,
    sum(CASE WHEN payment_status = 'success' THEN 1 ELSE 0 END) AS successful,
    sum(CASE WHEN payment_status = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN payment_status = 'pending' THEN 1 ELSE 0 END) AS pending,
    sum(CASE WHEN payment_status = 'success' THEN amount ELSE CAST(0 AS DECIMAL(18, 2)) END) AS collected
FROM payments
WHERE CAST(created_at AT TIME ZONE 'America/New_York' AS DATE)
    BETWEEN CAST($since AS DATE) AND CAST($until AS DATE)
GROUP BY 1, 2
ORDER BY month, fee
