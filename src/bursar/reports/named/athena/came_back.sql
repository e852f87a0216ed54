-- What was returned, charged back or refunded, in US dollars, by month, application, fee and debit voucher?
-- parameters: since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH payment_postings AS (
  {payment_postings}
)
SELECT
  CAST(DATE_TRUNC('MONTH', posted_on) AS DATE) AS month,
  account AS kind,
  client,
  fee,
  debit_voucher,
  COUNT(*) AS reversals,
  SUM(amount) AS came_back
FROM payment_postings
WHERE
  account IN ('returned', 'charged_back', 'refunded')
  AND posted_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND posted_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', fee)
  AND CAST(? AS VARCHAR) IN ('*', client)
GROUP BY
  CAST(DATE_TRUNC('MONTH', posted_on) AS DATE),
  account,
  client,
  fee,
  debit_voucher
ORDER BY
  month,
  kind,
  client,
  fee,
  debit_voucher
