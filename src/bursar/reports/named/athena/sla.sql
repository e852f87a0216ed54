-- How long do starting, completing and settling take, which share met its target, and how many are stuck?
-- parameters: since, until, fee, client, since, fee, client, now, stuck_days
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH attempts AS (
  SELECT
    agency_tracking_id,
    payment_status,
    created_at,
    updated_at,
    token_at
  FROM payments
  WHERE
    created_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND created_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
), moments AS (
  SELECT
    agency_tracking_id,
    MIN(CASE WHEN event = 'claimed' THEN occurred_at END) AS claimed_at,
    MIN(
      CASE
        WHEN from_status = 'processing' AND to_status <> 'processing'
        THEN occurred_at
      END
    ) AS answered_at,
    MIN(CASE WHEN to_status = 'pending' THEN occurred_at END) AS accepted_at
  FROM payment_events
  WHERE
    occurred_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  GROUP BY
    agency_tracking_id
), measured AS (
  SELECT
    '1 init: application asks to token given' AS measure,
    CAST({init_target_s} AS DOUBLE) AS target_s,
    CAST(DATE_DIFF(
      'MILLISECOND',
      DATE_TRUNC('MILLISECOND', a.created_at),
      DATE_TRUNC('MILLISECOND', a.token_at)
    ) AS DOUBLE) / 1000 AS seconds
  FROM attempts AS a
  WHERE
    NOT a.token_at IS NULL
  UNION ALL
  SELECT
    '2 process: claimed to outcome known' AS measure,
    CAST({process_target_s} AS DOUBLE) AS target_s,
    CAST(DATE_DIFF(
      'MILLISECOND',
      DATE_TRUNC('MILLISECOND', m.claimed_at),
      DATE_TRUNC('MILLISECOND', m.answered_at)
    ) AS DOUBLE) / 1000 AS seconds
  FROM attempts AS a
  INNER JOIN moments AS m
    ON a.agency_tracking_id = m.agency_tracking_id
  WHERE
    NOT m.claimed_at IS NULL AND NOT m.answered_at IS NULL
  UNION ALL
  SELECT
    '3 settle: accepted to settled' AS measure,
    CAST({settle_target_days} AS DOUBLE) * 86400 AS target_s,
    CAST(DATE_DIFF(
      'MILLISECOND',
      DATE_TRUNC('MILLISECOND', m.accepted_at),
      DATE_TRUNC('MILLISECOND', a.updated_at)
    ) AS DOUBLE) / 1000 AS seconds
  FROM attempts AS a
  INNER JOIN moments AS m
    ON a.agency_tracking_id = m.agency_tracking_id
  WHERE
    NOT m.accepted_at IS NULL AND a.payment_status = 'success'
  UNION ALL
  SELECT
    '4 stuck: started and still settling' AS measure,
    CAST(NULL AS DOUBLE) AS target_s,
    CAST(DATE_DIFF(
      'MILLISECOND',
      DATE_TRUNC('MILLISECOND', created_at),
      DATE_TRUNC('MILLISECOND', CAST({now} AS TIMESTAMP WITH TIME ZONE))
    ) AS DOUBLE) / 1000 AS seconds
  FROM payments /* whenever they started */
  WHERE
    status = 'pending'
    AND CAST(? AS VARCHAR) IN ('*', fee)
    AND CAST(? AS VARCHAR) IN ('*', client)
    AND DATE_DIFF(
      'SECOND',
      DATE_TRUNC('SECOND', created_at),
      DATE_TRUNC('SECOND', CAST(? AS TIMESTAMP WITH TIME ZONE))
    ) > CAST(? AS INTEGER) * 86400
), ranked AS (
  SELECT
    measure,
    target_s,
    seconds,
    CUME_DIST() OVER (PARTITION BY measure ORDER BY seconds) AS share
  FROM measured
)
SELECT
  measure,
  COUNT(*) AS attempts,
  MIN(target_s) AS target_s,
  ROUND(
    AVG(CASE WHEN seconds <= target_s THEN 1e0 WHEN seconds > target_s THEN 0e0 END),
    4
  ) AS met,
  ROUND(AVG(seconds), 3) AS average_s,
  ROUND(MIN(CASE WHEN share >= 0.5 THEN seconds END), 3) AS p50_s,
  ROUND(MIN(CASE WHEN share >= 0.95 THEN seconds END), 3) AS p95_s,
  ROUND(MAX(seconds), 3) AS longest_s
FROM ranked
GROUP BY
  measure
ORDER BY
  measure
