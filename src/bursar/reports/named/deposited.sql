-- What does each deposit ticket hold, in US dollars: what was deposited, what came back, and what is left?
-- $since DAY = 1970-01-01: first day of recording, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of recording, Eastern time
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- payments [payments, total]: payments on the ticket
-- deposited [USD, total]: their amounts
-- came_back [USD, total]: amounts of them that went back
-- left_on_ticket [USD, total]: what was deposited, less what came back

WITH tickets AS (
    SELECT
        deposit_ticket,
        min(deposited_on) AS deposited_on,
        min(recorded_at) AS first_recorded_at,
        max(recorded_at) AS last_recorded_at
    FROM deposits
    GROUP BY deposit_ticket
)

SELECT
    tickets.deposit_ticket,
    tickets.deposited_on,
    sum(CASE WHEN lines.amount > 0 THEN 1 ELSE 0 END) AS payments,
    sum(CASE WHEN lines.amount > 0 THEN lines.amount ELSE 0 END) AS deposited,
    sum(CASE WHEN lines.amount < 0 THEN -lines.amount ELSE 0 END) AS came_back,
    sum(lines.amount) AS left_on_ticket
FROM tickets
INNER JOIN payment_postings AS lines
    ON tickets.deposit_ticket = lines.deposit_ticket AND lines.account = 'deposited'
WHERE tickets.last_recorded_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND tickets.first_recorded_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($fee AS VARCHAR) IN ('*', lines.fee)
    AND CAST($client AS VARCHAR) IN ('*', lines.client)
GROUP BY tickets.deposit_ticket, tickets.deposited_on
ORDER BY tickets.deposited_on, tickets.deposit_ticket
