-- Which payments ended with a Pay.gov return code that begins with 4 (or with other characters)?
-- $code TEXT = 4: first characters of the return code
-- $since DAY = 1970-01-01: first day of the last change, Eastern time
-- $until LAST_DAY = 2999-12-31: last day of the last change
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- amount [USD, total]: amounts that were not collected

SELECT
    updated_at,
    return_code,
    return_detail,
    client,
    reference,
    agency_tracking_id,
    fee,
    amount,
    status,
    payment_method
FROM payments
WHERE substr(return_code, 1, length(CAST($code AS VARCHAR))) = CAST($code AS VARCHAR)
    AND updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
    AND updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
    AND CAST($fee AS VARCHAR) IN ('*', fee)
    AND CAST($client AS VARCHAR) IN ('*', client)
ORDER BY updated_at DESC, agency_tracking_id
