-- How long do ACH payments take to settle, in hours: average, median and 95th percentile, by month of settlement?
-- parameters: since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH accepted AS (
  SELECT
    agency_tracking_id,
    MIN(occurred_at) AS accepted_at
  FROM payment_events
  WHERE
    to_status = 'pending'
  GROUP BY
    agency_tracking_id
), settled AS (
  SELECT
    p.agency_tracking_id,
    CAST(DATE_TRUNC('MONTH', p.final_on) AS DATE) AS month,
    p.amount,
    CAST(DATE_DIFF('SECOND', DATE_TRUNC('SECOND', a.accepted_at), DATE_TRUNC('SECOND', p.updated_at)) AS DOUBLE) / 3600 AS hours
  FROM payments AS p
  INNER JOIN accepted AS a
    ON p.agency_tracking_id = a.agency_tracking_id
  WHERE
    p.payment_method = 'ACH'
    AND p.payment_status = 'success'
    AND p.updated_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND p.updated_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', p.fee)
    AND CAST(? AS VARCHAR) IN ('*', p.client)
), ranked AS (
  SELECT
    month,
    amount,
    hours,
    CUME_DIST() OVER (PARTITION BY month ORDER BY hours) AS share
  FROM settled
)
SELECT
  month,
  COUNT(*) AS settled,
  SUM(amount) AS collected,
  ROUND(AVG(hours), 2) AS average_hours,
  ROUND(MIN(CASE WHEN share >= 0.5 THEN hours END), 2) AS p50_hours,
  ROUND(MIN(CASE WHEN share >= 0.95 THEN hours END), 2) AS p95_hours,
  ROUND(MAX(hours), 2) AS longest_hours
FROM ranked
GROUP BY
  month
ORDER BY
  month
