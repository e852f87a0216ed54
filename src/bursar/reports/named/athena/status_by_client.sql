-- How many payments does each application have in each status, and how many US dollars are they?
-- parameters: since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

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
  created_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND created_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', fee)
  AND CAST(? AS VARCHAR) IN ('*', client)
GROUP BY
  client,
  payment_status,
  status
ORDER BY
  client,
  payment_status,
  status
