-- What does each deposit ticket hold, in US dollars: what was deposited, what came back, and what is left?
-- parameters: since, until, fee, client
-- a day is a timestamp such as 2026-11-22 05:00:00.000+00:00: its beginning (since) or its end (until)

WITH payment_postings AS (
  {payment_postings}
), tickets AS (
  SELECT
    deposit_ticket,
    MIN(deposited_on) AS deposited_on,
    MIN(recorded_at) AS first_recorded_at,
    MAX(recorded_at) AS last_recorded_at
  FROM deposits
  GROUP BY
    deposit_ticket
)
SELECT
  tickets.deposit_ticket,
  tickets.deposited_on,
  SUM(CASE WHEN lines.amount > 0 THEN 1 ELSE 0 END) AS payments,
  SUM(CASE WHEN lines.amount > 0 THEN lines.amount ELSE 0 END) AS deposited,
  SUM(CASE WHEN lines.amount < 0 THEN -lines.amount ELSE 0 END) AS came_back,
  SUM(lines.amount) AS left_on_ticket
FROM tickets
INNER JOIN payment_postings AS lines
  ON tickets.deposit_ticket = lines.deposit_ticket AND lines.account = 'deposited'
WHERE
  tickets.last_recorded_at >= CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND tickets.first_recorded_at < CAST(? AS TIMESTAMP WITH TIME ZONE)
  AND CAST(? AS VARCHAR) IN ('*', lines.fee)
  AND CAST(? AS VARCHAR) IN ('*', lines.client)
GROUP BY
  tickets.deposit_ticket,
  tickets.deposited_on
ORDER BY
  tickets.deposited_on,
  tickets.deposit_ticket
