-- What was collected in each month, in US dollars, by application, fee and payment method? (Monthly finance report.)
-- $since DAY = 1970-01-01: first day of collection, America/New_York
-- $until LAST_DAY = 2999-12-31: last day of collection
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- payments [payments, total]: payments that were collected in the month
-- collected [USD, total]: their amounts
-- chart bars: month; collected; fee

WITH collected AS (
    SELECT
        CAST(date_trunc('month', final_on) AS DATE) AS month,
        client,
        fee,
        tcs_app_id,
        payment_method,
        amount
    FROM payments
    WHERE payment_status = 'success'
        AND updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
)

SELECT
    -- The federal fiscal year begins on 1 October and is named by the year in which it ends.
    EXTRACT(YEAR FROM month) + CASE WHEN EXTRACT(MONTH FROM month) >= 10 THEN 1 ELSE 0 END AS fiscal_year,
    month,
    client,
    fee,
    tcs_app_id,
    payment_method,
    count(*) AS payments,
    sum(amount) AS collected
FROM collected
GROUP BY month, client, fee, tcs_app_id, payment_method
ORDER BY month, client, fee, tcs_app_id, payment_method NULLS LAST
