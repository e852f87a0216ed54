-- How many payments of each fee were started in each month, and how many US dollars did they bring in, whenever collected?
-- parameters: since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

SELECT
  CAST(DATE_TRUNC('MONTH', created_on) AS DATE) AS month_started,
  fee,
  COUNT(*) AS attempts,
  SUM(CASE WHEN payment_status = 'success' THEN 1 ELSE 0 END) AS successful,
  SUM(CASE WHEN payment_status = 'failed' THEN 1 ELSE 0 END) AS failed,
  SUM(CASE WHEN payment_status = 'pending' THEN 1 ELSE 0 END) AS pending,
  SUM(
    CASE WHEN payment_status = 'success' THEN amount ELSE CAST(0 AS DECIMAL(18, 2)) END
  ) AS collected_of_started
FROM payments
WHERE
  created_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND created_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', fee)
  AND CAST(? AS VARCHAR) IN ('*', client)
GROUP BY
  1,
  2
ORDER BY
  month_started,
  fee
