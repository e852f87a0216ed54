WITH steps AS (
  SELECT
    agency_tracking_id,
    CAST(JSON_EXTRACT_SCALAR(detail, '$.refund') AS BIGINT) AS refund,
    client,
    reference,
    CAST(JSON_EXTRACT_SCALAR(detail, '$.refund_amount') AS DECIMAL(18, 2)) AS amount,
    event,
    occurred_at,
    JSON_EXTRACT_SCALAR(detail, '$.by') AS operator,
    JSON_EXTRACT_SCALAR(detail, '$.reason') AS reason
  FROM payment_events
  WHERE
    event IN ('refund_requested', 'refund_approved', 'refund_rejected')
)
SELECT
  asked.agency_tracking_id,
  asked.refund,
  asked.client,
  asked.reference,
  asked.amount,
  CASE decided.event
    WHEN 'refund_approved'
    THEN 'approved'
    WHEN 'refund_rejected'
    THEN 'rejected'
    ELSE 'open'
  END AS status,
  asked.occurred_at AS requested_at,
  asked.operator AS requested_by,
  asked.reason,
  decided.occurred_at AS decided_at,
  decided.operator AS decided_by,
  decided.reason AS decision_reason
FROM steps AS asked
LEFT JOIN steps AS decided
  ON asked.agency_tracking_id = decided.agency_tracking_id
  AND asked.refund = decided.refund
  AND decided.event <> 'refund_requested'
WHERE
  asked.event = 'refund_requested'
