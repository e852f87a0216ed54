-- Which failed payments were above an amount?
-- parameters: above, since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

SELECT
  updated_at AS failed_at,
  client,
  reference,
  agency_tracking_id,
  fee,
  amount,
  payment_method,
  return_code,
  return_detail
FROM payments
WHERE
  payment_status = 'failed'
  AND amount > CAST(? AS DECIMAL(18, 2))
  AND updated_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND updated_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', fee)
  AND CAST(? AS VARCHAR) IN ('*', client)
ORDER BY
  failed_at DESC,
  agency_tracking_id
