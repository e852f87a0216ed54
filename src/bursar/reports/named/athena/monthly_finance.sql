-- What was collected in each month, in US dollars, by application, fee and payment method? (Monthly finance report.)
-- parameters: since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH collected AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', final_on) AS DATE) AS month,
    client,
    fee,
    tcs_app_id,
    payment_method,
    amount
  FROM payments
  WHERE
    payment_status = 'success'
    AND updated_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND updated_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
)
SELECT
  EXTRACT(YEAR FROM month) /* The federal fiscal year begins on 1 October and is named by the year in which it ends. */ + CASE WHEN EXTRACT(MONTH FROM month) >= 10 THEN 1 ELSE 0 END AS fiscal_year,
  month,
  client,
  fee,
  tcs_app_id,
  payment_method,
  COUNT(*) AS payments,
  SUM(amount) AS collected
FROM collected
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
