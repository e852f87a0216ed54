-- How many payments does each application have in each status, and what are they worth?
-- parameters: since, until

SELECT
  client,
  payment_status,
  status,
  COUNT(*) AS attempts,
  SUM(amount) AS amount,
  MIN(created_at) AS first_started,
  MAX(updated_at) AS last_changed
FROM payments
WHERE
  CAST(AT_TIMEZONE(created_at, 'America/New_York') AS DATE) BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
GROUP BY
  client,
  payment_status,
  status
ORDER BY
  client,
  payment_status,
  status
