-- Which failed payments were above an amount?
-- $above DECIMAL = 0: an amount in US dollars
-- $since DAY = 1970-01-01: first day of failure, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of failure
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- amount [USD, total]: amounts that were not collected

SELECT
    updated_at AS failed_at,
    client,
    reference,
    agency_tracking_id,
    fee,
    amount,
    payment_method,
    return_code,
    return_detail
FROM payments
WHERE payment_status = 'failed'
    AND amount > CAST($above AS DECIMAL(18, 2))
    AND updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($fee AS VARCHAR) IN ('*', fee)
    AND CAST($client AS VARCHAR) IN ('*', client)
ORDER BY failed_at DESC, agency_tracking_id
