-- What was returned, charged back or refunded, in US dollars, by month, application, fee and debit voucher?
-- $since DAY = 1970-01-01: first day of recording, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of recording, Eastern time
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- reversals [reversals, total]: reversals that were recorded in the month
-- came_back [USD, total]: their amounts
-- chart bars: month; came_back; kind

SELECT
    CAST(date_trunc('month', posted_on) AS DATE) AS month,
    account AS kind,
    client,
    fee,
    debit_voucher,
    count(*) AS reversals,
    sum(amount) AS came_back
FROM payment_postings
WHERE account IN ('returned', 'charged_back', 'refunded')
    AND posted_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND posted_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($fee AS VARCHAR) IN ('*', fee)
    AND CAST($client AS VARCHAR) IN ('*', client)
GROUP BY CAST(date_trunc('month', posted_on) AS DATE), account, client, fee, debit_voucher
ORDER BY month, kind, client, fee, debit_voucher NULLS LAST
