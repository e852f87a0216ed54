-- What was collected in each month, what went back, and what is the net, in US dollars? (Monthly finance report.)
-- $since DAY = 1970-01-01: first day of collection, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of collection
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- payments [payments, total]: payments that were collected in the month
-- collected [USD, total]: their amounts
-- reversed [USD, total]: returns, chargebacks and refunds that were recorded in the month, whenever they were collected
-- net [USD, total]: collected less reversed
-- chart bars: month; net; fee

WITH entries AS (
    SELECT
        CAST(date_trunc('month', final_on) AS DATE) AS month,
        client,
        fee,
        tcs_app_id,
        payment_method,
        1 AS payments,
        amount AS collected,
        CAST(0 AS DECIMAL(18, 2)) AS reversed
    FROM payments
    WHERE payment_status = 'success'
        AND updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
    UNION ALL
    SELECT
        CAST(date_trunc('month', back.recorded_on) AS DATE) AS month,
        attempts.client,
        attempts.fee,
        attempts.tcs_app_id,
        attempts.payment_method,
        0 AS payments,
        CAST(0 AS DECIMAL(18, 2)) AS collected,
        back.amount AS reversed
    FROM reversals AS back
    INNER JOIN payments AS attempts ON back.agency_tracking_id = attempts.agency_tracking_id
    WHERE back.recorded_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND back.recorded_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', attempts.fee)
        AND CAST($client AS VARCHAR) IN ('*', attempts.client)
)

SELECT
    -- The federal fiscal year begins on 1 October and is named by the year in which it ends.
    EXTRACT(YEAR FROM month) + CASE WHEN EXTRACT(MONTH FROM month) >= 10 THEN 1 ELSE 0 END AS fiscal_year,
    month,
    client,
    fee,
    tcs_app_id,
    payment_method,
    CAST(sum(payments) AS BIGINT) AS payments,
    sum(collected) AS collected,
    sum(reversed) AS reversed,
    sum(collected) - sum(reversed) AS net
FROM entries
GROUP BY month, client, fee, tcs_app_id, payment_method
ORDER BY month, client, fee, tcs_app_id, payment_method NULLS LAST
