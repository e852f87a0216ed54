-- What was collected in each month, what went back, and what is the net, in US dollars? (Monthly finance report.)
-- parameters: since, until, fee, client, since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH entries AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', final_on) AS DATE) AS month,
    client,
    fee,
    tcs_app_id,
    payment_method,
    1 AS payments,
    amount AS collected,
    CAST(0 AS DECIMAL(18, 2)) AS reversed
  FROM payments
  WHERE
    payment_status = 'success'
    AND updated_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND updated_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
  UNION ALL
  SELECT
    CAST(DATE_TRUNC('MONTH', back.recorded_on) AS DATE) AS month,
    attempts.client,
    attempts.fee,
    attempts.tcs_app_id,
    attempts.payment_method,
    0 AS payments,
    CAST(0 AS DECIMAL(18, 2)) AS collected,
    back.amount AS reversed
  FROM reversals AS back
  INNER JOIN payments AS attempts
    ON back.agency_tracking_id = attempts.agency_tracking_id
  WHERE
    back.recorded_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND back.recorded_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', attempts.fee)
    AND CAST(? AS VARCHAR) IN ('*', attempts.client)
)
SELECT
  EXTRACT(YEAR FROM month) /* The federal fiscal year begins on 1 October and is named by the year in which it ends. */ + CASE WHEN EXTRACT(MONTH FROM month) >= 10 THEN 1 ELSE 0 END AS fiscal_year,
  month,
  client,
  fee,
  tcs_app_id,
  payment_method,
  CAST(SUM(payments) AS BIGINT) AS payments,
  SUM(collected) AS collected,
  SUM(reversed) AS reversed,
  SUM(collected) - SUM(reversed) AS net
FROM entries
GROUP BY
  month,
  client,
  fee,
  tcs_app_id,
  payment_method
ORDER BY
  month,
  client,
  fee,
  tcs_app_id,
  payment_method
