-- Which payments have an unknown outcome, or are stuck in a status that should have ended? (No rows: none.)
-- $unknown_minutes INTEGER = 15: minutes after which an unknown outcome is listed
-- $start_minutes INTEGER = 15: minutes after which an attempt without a token is stuck
-- $token_hours INTEGER = 4: hours after which an attempt with a token is stuck; a token is valid for 3 hours
-- $settle_days INTEGER = 5: days after which an attempt that is still settling is stuck
-- $now TIMESTAMP = now: the time at which this is judged
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- amount [USD, total]: amounts of the attempts
-- hours_unchanged [hours]: since the last change that Bursar has learned

WITH open_attempts AS (
    SELECT
        CASE
            WHEN outcome_unknown THEN 'outcome unknown'
            WHEN status = 'received' THEN 'no token'
            WHEN status = 'initiated' THEN 'token expired'
            WHEN status = 'processing' THEN 'lease expired'
            ELSE 'still settling'
        END AS finding,
        CASE
            WHEN outcome_unknown THEN CAST($unknown_minutes AS INTEGER) * 60
            WHEN status IN ('received', 'processing') THEN CAST($start_minutes AS INTEGER) * 60
            WHEN status = 'initiated' THEN CAST($token_hours AS INTEGER) * 3600
            ELSE CAST($settle_days AS INTEGER) * 86400
        END AS seconds_allowed,
        date_diff('second', updated_at, CAST($now AS TIMESTAMP WITH TIME ZONE)) AS seconds_unchanged,
        client,
        reference,
        agency_tracking_id,
        fee,
        amount,
        status,
        payment_method,
        unknown_reason,
        created_at,
        updated_at AS last_learned_at
    FROM payments
    WHERE status IN ('received', 'initiated', 'processing', 'pending')
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
)

SELECT
    finding,
    client,
    reference,
    agency_tracking_id,
    fee,
    amount,
    status,
    payment_method,
    unknown_reason,
    created_at,
    last_learned_at,
    round(CAST(seconds_unchanged AS DOUBLE) / 3600, 2) AS hours_unchanged
FROM open_attempts
WHERE seconds_unchanged > seconds_allowed
ORDER BY finding, last_learned_at, agency_tracking_id
