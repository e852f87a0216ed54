-- Which payments ended with a Pay.gov return code 4XX (or any other beginning)?
-- parameters: code, code, since, until

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
  AND CAST(AT_TIMEZONE(updated_at, 'America/New_York') AS DATE) BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
ORDER BY
  updated_at DESC,
  agency_tracking_id
