WITH moved AS (
  SELECT
    events.agency_tracking_id,
    CONCAT(CAST('event/' AS VARCHAR), CAST(events.seq AS VARCHAR)) AS entry,
    attempts.client,
    attempts.reference,
    attempts.fee,
    attempts.amount,
    attempts.classification,
    NOT attempts.classification IS NULL AND attempts.classification <> '[]' AS is_classified,
    events.from_status,
    events.to_status,
    events.occurred_at AS posted_at,
    events.occurred_on AS posted_on
  FROM payment_events AS events
  INNER JOIN payments AS attempts
    ON events.agency_tracking_id = attempts.agency_tracking_id
  WHERE
    events.from_status IS DISTINCT FROM events.to_status /* an import has no status before */
    AND (
      events.to_status IN ('pending', 'processed') OR events.from_status = 'pending'
    )
), deposited AS (
  SELECT
    held.agency_tracking_id,
    'deposit' AS entry,
    attempts.client,
    attempts.reference,
    attempts.fee,
    held.deposit_ticket,
    held.amount,
    held.recorded_at AS posted_at,
    held.recorded_on AS posted_on
  FROM deposits AS held
  INNER JOIN payments AS attempts
    ON held.agency_tracking_id = attempts.agency_tracking_id
), came_back AS (
  SELECT
    back.agency_tracking_id,
    CONCAT(CAST('reversal/' AS VARCHAR), CAST(back.reversal AS VARCHAR)) AS entry,
    attempts.client,
    attempts.reference,
    attempts.fee,
    back.kind,
    back.amount,
    NOT held.deposit_ticket IS NULL AS is_deposited,
    held.deposit_ticket,
    back.debit_voucher,
    back.recorded_at AS posted_at,
    back.recorded_on AS posted_on
  FROM reversals AS back
  INNER JOIN payments AS attempts
    ON back.agency_tracking_id = attempts.agency_tracking_id
  LEFT JOIN deposits AS held
    ON back.agency_tracking_id = held.agency_tracking_id
    AND held.recorded_at < back.recorded_at
), came_back_before AS (
  SELECT
    held.agency_tracking_id,
    held.entry,
    held.client,
    held.reference,
    held.fee,
    held.deposit_ticket,
    back.debit_voucher,
    back.amount,
    held.posted_at,
    held.posted_on
  FROM deposited AS held
  INNER JOIN reversals AS back
    ON held.agency_tracking_id = back.agency_tracking_id
    AND held.posted_at >= back.recorded_at
), lines AS (
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'in_transit' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    CAST(NULL AS VARCHAR) AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    amount AS amount,
    posted_at,
    posted_on
  FROM moved
  WHERE
    from_status IS DISTINCT FROM 'pending'
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'in_transit' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    CAST(NULL AS VARCHAR) AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    -amount AS amount,
    posted_at,
    posted_on
  FROM moved
  WHERE
    to_status = 'failed'
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'unsettled' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    CAST(NULL AS VARCHAR) AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    -amount AS amount,
    posted_at,
    posted_on
  FROM moved
  WHERE
    to_status = 'pending'
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'unsettled' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    CAST(NULL AS VARCHAR) AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    amount AS amount,
    posted_at,
    posted_on
  FROM moved
  WHERE
    from_status = 'pending'
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'fee_revenue' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    CAST(NULL AS VARCHAR) AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    -amount AS amount,
    posted_at,
    posted_on
  FROM moved
  WHERE
    to_status = 'processed' AND NOT is_classified
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'fee_revenue' AS account,
    part.share[1] AS classification_id,
    CAST(NULL AS VARCHAR) AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    -CAST(part.share[2] AS DECIMAL(18, 2)) AS amount,
    posted_at,
    posted_on
  FROM moved
  CROSS JOIN UNNEST(CAST(JSON_PARSE(classification) AS ARRAY(ARRAY(VARCHAR)))) AS part(share)
  WHERE
    to_status = 'processed' AND is_classified
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'deposited' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    deposit_ticket AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    amount AS amount,
    posted_at,
    posted_on
  FROM deposited
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'in_transit' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    deposit_ticket AS deposit_ticket,
    CAST(NULL AS VARCHAR) AS debit_voucher,
    -amount AS amount,
    posted_at,
    posted_on
  FROM deposited
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    kind AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    deposit_ticket AS deposit_ticket,
    debit_voucher AS debit_voucher,
    amount AS amount,
    posted_at,
    posted_on
  FROM came_back
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    CASE WHEN is_deposited THEN 'deposited' ELSE 'in_transit' END AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    deposit_ticket AS deposit_ticket,
    debit_voucher AS debit_voucher,
    -amount AS amount,
    posted_at,
    posted_on
  FROM came_back
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'deposited' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    deposit_ticket AS deposit_ticket,
    debit_voucher AS debit_voucher,
    -amount AS amount,
    posted_at,
    posted_on
  FROM came_back_before
  UNION ALL
  SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    'in_transit' AS account,
    CAST(NULL AS VARCHAR) AS classification_id,
    deposit_ticket AS deposit_ticket,
    debit_voucher AS debit_voucher,
    amount AS amount,
    posted_at,
    posted_on
  FROM came_back_before
)
SELECT
  agency_tracking_id,
  entry,
  client,
  reference,
  fee,
  account,
  classification_id,
  deposit_ticket,
  debit_voucher,
  CAST(amount AS DECIMAL(18, 2)) AS amount,
  posted_at,
  posted_on
FROM lines
