-- How many payments were made of each fee type in each month, and how much was collected?
-- parameters: since, until

SELECT
  CAST(DATE_TRUNC('MONTH', AT_TIMEZONE(created_at, 'America/New_York')) AS DATE) AS month,
  fee,
  COUNT(*) AS attempts,
  SUM(CASE WHEN payment_status = 'success' THEN 1 ELSE 0 END) AS successful,
  SUM(CASE WHEN payment_status = 'failed' THEN 1 ELSE 0 END) AS failed,
  SUM(CASE WHEN payment_status = 'pending' THEN 1 ELSE 0 END) AS pending,
  SUM(
    CASE WHEN payment_status = 'success' THEN amount ELSE CAST(0 AS DECIMAL(18, 2)) END
  ) AS collected
FROM payments
WHERE
  CAST(AT_TIMEZONE(created_at, 'America/New_York') AS DATE) BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
GROUP BY
  1,
  2
ORDER BY
  month,
  fee
