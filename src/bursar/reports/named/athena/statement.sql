-- What was collected for one client, and what went back, payment by payment? (Statement of a client.)
-- parameters: client, since, until, fee, client, since, until, fee
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH entries AS (
  SELECT
    updated_at AS booked_at,
    'collected' AS entry,
    reference,
    agency_tracking_id,
    paygov_tracking_id,
    fee,
    payment_method,
    amount AS collected,
    CAST(0 AS DECIMAL(18, 2)) AS reversed
  FROM payments
  WHERE
    payment_status = 'success'
    AND client = CAST(? AS VARCHAR)
    AND updated_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND updated_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', fee)
  UNION ALL
  SELECT
    back.recorded_at AS booked_at,
    back.kind AS entry,
    attempts.reference,
    attempts.agency_tracking_id,
    attempts.paygov_tracking_id,
    attempts.fee,
    attempts.payment_method,
    CAST(0 AS DECIMAL(18, 2)) AS collected,
    back.amount AS reversed
  FROM reversals AS back
  INNER JOIN payments AS attempts
    ON back.agency_tracking_id = attempts.agency_tracking_id
  WHERE
    attempts.client = CAST(? AS VARCHAR)
    AND back.recorded_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND back.recorded_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', attempts.fee)
)
SELECT
  booked_at,
  entry,
  reference,
  agency_tracking_id,
  paygov_tracking_id,
  fee,
  payment_method,
  collected,
  reversed,
  collected - reversed AS net
FROM entries
ORDER BY
  booked_at,
  agency_tracking_id,
  entry
