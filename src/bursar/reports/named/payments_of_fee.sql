-- Which payments of one fee were started?
-- $fee FEE: key of the fee
-- $since DAY = 1970-01-01: first day on which attempts started, Eastern time
-- $until LAST_DAY = 2999-12-31: last day on which attempts started
-- $client CLIENT = *: name of the client
-- amount [USD, total]: amounts of the attempts, collected or not

SELECT
    created_at,
    client,
    reference,
    agency_tracking_id,
    amount,
    payment_status,
    status,
    payment_method,
    transaction_status,
    paygov_tracking_id,
    return_code,
    return_detail,
    updated_at
FROM payments
WHERE CAST($fee AS VARCHAR) IN ('*', fee)
    AND created_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND created_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($client AS VARCHAR) IN ('*', client)
ORDER BY created_at DESC, agency_tracking_id
