-- What does each deposit ticket hold, in US dollars: what was deposited, what came back, and what is left?
-- $since DAY = 1970-01-01: first day of recording, America/New_York
-- $until LAST_DAY = 2999-12-31: last day of recording, America/New_York

WITH tickets AS (
    SELECT
        deposit_ticket,
        min(deposited_on) AS deposited_on,
        count(*) AS payments
    FROM deposits
    GROUP BY deposit_ticket
    HAVING max(recorded_at) >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND min(recorded_at) < CAST($until AS TIMESTAMP WITH TIME ZONE)
)

SELECT
    tickets.deposit_ticket,
    tickets.deposited_on,
    tickets.payments,
    sum(CASE WHEN lines.amount > 0 THEN lines.amount ELSE 0 END) AS deposited,
    sum(CASE WHEN lines.amount < 0 THEN -lines.amount ELSE 0 END) AS came_back,
    sum(lines.amount) AS left_on_ticket
FROM tickets
INNER JOIN payment_postings AS lines
    ON tickets.deposit_ticket = lines.deposit_ticket AND lines.account = 'deposited'
GROUP BY tickets.deposit_ticket, tickets.deposited_on, tickets.payments
ORDER BY tickets.deposited_on, tickets.deposit_ticket
