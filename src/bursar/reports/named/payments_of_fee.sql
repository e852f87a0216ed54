-- Which payments were made of one fee type?
-- $fee TEXT: key of the fee, as in the catalogue
-- $since DATE = 1970-01-01: first day on which attempts started, America/New_York
-- $until DATE = 9999-12-31: last such day

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
WHERE fee = CAST($fee AS VARCHAR)
    AND CAST(created_at AT TIME ZONE 'America/New_York' AS DATE)
        BETWEEN CAST($since AS DATE) AND CAST($until AS DATE)
ORDER BY created_at DESC, agency_tracking_id
