-- Which payments were made of one fee type?
-- parameters: fee, since, until

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
  fee = CAST(? AS VARCHAR)
  AND CAST(AT_TIMEZONE(created_at, 'America/New_York') AS DATE) BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
ORDER BY
  created_at DESC,
  agency_tracking_id
