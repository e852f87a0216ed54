-- Which payments ended with a Pay.gov return code that begins with 4 (or with other characters)?
-- parameters: code, code, since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

SELECT
  updated_at,
  return_code,
  return_detail,
  client,
  reference,
  agency_tracking_id,
  fee,
  amount,
  status,
  payment_method
FROM payments
WHERE
  SUBSTR(return_code, 1, LENGTH(CAST(? AS VARCHAR))) = CAST(? AS VARCHAR)
  AND updated_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND updated_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', fee)
  AND CAST(? AS VARCHAR) IN ('*', client)
ORDER BY
  updated_at DESC,
  agency_tracking_id
