-- Which failed payments were above an amount?
-- parameters: above, since, until

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
  AND CAST(AT_TIMEZONE(updated_at, 'America/New_York') AS DATE) BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
ORDER BY
  failed_at DESC,
  agency_tracking_id
