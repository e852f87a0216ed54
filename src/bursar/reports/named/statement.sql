-- What was collected for one client, and what went back, payment by payment? (Statement of a client.)
-- $client CLIENT: name of the client
-- $since DAY = 1970-01-01: first day of the statement, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of the statement
-- $fee FEE = *: key of the fee
-- collected [USD, total]: the amount, if the line is a collection
-- reversed [USD, total]: the amount that went back, if the line is a return, a chargeback or a refund
-- net [USD, total]: collected less reversed

WITH entries AS (
    SELECT
        updated_at AS booked_at,
        'collected' AS entry,
        reference,
        agency_tracking_id,
        paygov_tracking_id,
        fee,
        payment_method,
        amount AS collected,
        CAST(0 AS DECIMAL(18, 2)) AS reversed
    FROM payments
    WHERE payment_status = 'success'
        AND client = CAST($client AS VARCHAR)
        AND updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', fee)
    UNION ALL
    SELECT
        back.recorded_at AS booked_at,
        back.kind AS entry,
        attempts.reference,
        attempts.agency_tracking_id,
        attempts.paygov_tracking_id,
        attempts.fee,
        attempts.payment_method,
        CAST(0 AS DECIMAL(18, 2)) AS collected,
        back.amount AS reversed
    FROM reversals AS back
    INNER JOIN payments AS attempts ON back.agency_tracking_id = attempts.agency_tracking_id
    WHERE attempts.client = CAST($client AS VARCHAR)
        AND back.recorded_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
        AND back.recorded_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        AND CAST($fee AS VARCHAR) IN ('*', attempts.fee)
)

SELECT
    booked_at,
    entry,
    reference,
    agency_tracking_id,
    paygov_tracking_id,
    fee,
    payment_method,
    collected,
    reversed,
    collected - reversed AS net
FROM entries
ORDER BY booked_at, agency_tracking_id, entry
