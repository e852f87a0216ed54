-- How do volume and failure rate develop from day to day, and over the seven days up to each day?
-- parameters: since, until, fee, client, since
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH days AS (
  SELECT
    created_on AS day,
    COUNT(*) AS attempts,
    SUM(CASE WHEN payment_status = 'success' THEN 1 ELSE 0 END) AS successful,
    SUM(CASE WHEN payment_status = 'failed' THEN 1 ELSE 0 END) AS failed,
    SUM(
      CASE WHEN payment_status = 'success' THEN amount ELSE CAST(0 AS DECIMAL(18, 2)) END
    ) AS collected_of_started
  FROM payments
  /* Six days more than are shown: the seven days up to the first day begin there. */
  WHERE
    created_at >= CAST(? AS TIMESTAMP WITH TIME ZONE) - INTERVAL '7' DAY
    AND created_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
  GROUP BY
    1
), weeks AS (
  SELECT
    day,
    attempts,
    successful,
    failed,
    collected_of_started,
    SUM(attempts) OVER seven_days AS attempts_7_days,
    SUM(successful) OVER seven_days AS successful_7_days,
    SUM(failed) OVER seven_days AS failed_7_days
  FROM days
  WINDOW seven_days AS (ORDER BY day RANGE BETWEEN INTERVAL '6' DAY PRECEDING AND CURRENT ROW)
)
SELECT
  day,
  attempts,
  successful,
  failed,
  collected_of_started,
  ROUND(CAST(failed AS DOUBLE) / NULLIF(successful + failed, 0), 4) AS failure_rate, /* Of the attempts that have ended; those still open may go either way. */
  attempts_7_days,
  ROUND(CAST(failed_7_days AS DOUBLE) / NULLIF(successful_7_days + failed_7_days, 0), 4) AS failure_rate_7_days
FROM weeks
WHERE
  day >= CAST(AT_TIMEZONE(CAST(? AS TIMESTAMP WITH TIME ZONE), 'America/New_York') AS DATE)
ORDER BY
  day
