-- Which payments have an unknown outcome, or are stuck in a status that should have ended? (No rows: none.)
-- parameters: fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH open_attempts AS (
  SELECT
    CASE
      WHEN outcome_unknown
      THEN 'outcome unknown'
      WHEN status = 'received'
      THEN 'no token'
      WHEN status = 'initiated'
      THEN 'token expired'
      WHEN status = 'processing'
      THEN 'lease expired'
      ELSE 'still settling'
    END AS finding,
    CASE
      WHEN outcome_unknown
      THEN CAST({unknown_minutes} AS INTEGER) * 60
      WHEN status IN ('received', 'processing')
      THEN CAST({start_minutes} AS INTEGER) * 60
      WHEN status = 'initiated'
      THEN CAST({token_hours} AS INTEGER) * 3600
      ELSE CAST({settle_days} AS INTEGER) * 86400
    END AS seconds_allowed,
    DATE_DIFF(
      'SECOND',
      DATE_TRUNC('SECOND', updated_at),
      DATE_TRUNC('SECOND', CAST({now} AS TIMESTAMP WITH TIME ZONE))
    ) AS seconds_unchanged,
    client,
    reference,
    agency_tracking_id,
    fee,
    amount,
    status,
    payment_method,
    unknown_reason,
    created_at,
    updated_at AS last_learned_at
  FROM payments
  WHERE
    status IN ('received', 'initiated', 'processing', 'pending')
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
)
SELECT
  finding,
  client,
  reference,
  agency_tracking_id,
  fee,
  amount,
  status,
  payment_method,
  unknown_reason,
  created_at,
  last_learned_at,
  ROUND(CAST(seconds_unchanged AS DOUBLE) / 3600, 2) AS hours_unchanged
FROM open_attempts
WHERE
  seconds_unchanged > seconds_allowed
ORDER BY
  finding,
  last_learned_at,
  agency_tracking_id
