-- How much has Pay.gov collected that no known deposit ticket holds, and how much of it has not settled yet?
-- parameters: fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH payment_postings AS (
  {payment_postings}
), held AS (
  SELECT
    client,
    fee,
    agency_tracking_id,
    SUM(CASE WHEN account = 'in_transit' THEN amount ELSE 0 END) AS in_transit,
    SUM(CASE WHEN account = 'unsettled' THEN -amount ELSE 0 END) AS unsettled,
    MIN(CASE WHEN account = 'in_transit' THEN posted_on END) AS since
  FROM payment_postings
  WHERE
    account IN ('in_transit', 'unsettled')
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
  GROUP BY
    client,
    fee,
    agency_tracking_id
)
SELECT
  client,
  fee,
  COUNT(*) AS payments,
  SUM(in_transit) AS in_transit,
  SUM(unsettled) AS not_settled,
  MIN(since) AS oldest_on
FROM held
WHERE
  in_transit <> 0
GROUP BY
  client,
  fee
ORDER BY
  client,
  fee
