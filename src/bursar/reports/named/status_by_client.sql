-- How many payments does each application have in each status, and what are they worth?
-- $since DATE = 1970-01-01: first day on which attempts started, America/New_York
-- $until DATE = 9999-12-31: last such day

SELECT
    client,
    payment_status,
    status,
    count(*) AS attempts,
    sum(amount) AS amount,
    min(created_at) AS first_started,
    max(updated_at) AS last_changed
FROM payments
WHERE CAST(created_at AT TIME ZONE 'America/New_York' AS DATE)
    BETWEEN CAST($since AS DATE) AND CAST($until AS DATE)
GROUP BY client, payment_status, status
ORDER BY client, payment_status, status
