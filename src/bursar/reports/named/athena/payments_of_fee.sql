-- Which payments of one fee were started?
-- parameters: fee, since, until, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

SELECT
  created_at,
  client,
  reference,
  agency_tracking_id,
  amount,
  payment_status,
  status,
  payment_method,
  transaction_status,
  paygov_tracking_id,
  return_code,
  return_detail,
  updated_at
FROM payments
WHERE
  CAST(? AS VARCHAR) IN ('*', fee)
  AND created_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND created_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', client)
ORDER BY
  created_at DESC,
  agency_tracking_id
