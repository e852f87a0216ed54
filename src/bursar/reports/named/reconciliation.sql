-- Where do our payments and a Pay.gov activity file disagree? (No rows: they agree.)
-- $since DAY = 1970-01-01: first day of the file, America/New_York; our payments collected from this day on must be in the file
-- $until LAST_DAY = 2999-12-31: last day of the file
-- our_amount [USD]: the amount of the attempt
-- their_amount [USD]: the amount in the file

WITH theirs AS (
    SELECT
        agency_tracking_id,
        min(paygov_tracking_id) AS paygov_tracking_id,
        max(amount) AS amount,
        max(transaction_status) AS transaction_status,
        sum(CASE WHEN lower(transaction_status) IN ('success', 'settled') THEN 1 ELSE 0 END) AS charges,
        CASE
            WHEN sum(CASE WHEN lower(transaction_status) IN ('success', 'settled') THEN 1 ELSE 0 END) > 0
                THEN 'success'
            WHEN sum(
                CASE WHEN lower(transaction_status) IN ('failed', 'cancelled', 'canceled', 'retired') THEN 0 ELSE 1 END
            ) = 0
                THEN 'failed'
            ELSE 'pending'
        END AS payment_status
    FROM paygov_activity
    GROUP BY agency_tracking_id
),

compared AS (
    SELECT
        CASE
            WHEN ours.agency_tracking_id IS NULL THEN 'unknown to us'
            WHEN theirs.agency_tracking_id IS NULL THEN 'not in the file'
            WHEN theirs.charges > 1 THEN 'charged more than once'
            WHEN ours.payment_status <> theirs.payment_status THEN 'status differs'
            WHEN ours.amount <> theirs.amount THEN 'amount differs'
            WHEN ours.paygov_tracking_id <> theirs.paygov_tracking_id THEN 'Pay.gov tracking id differs'
        END AS finding,
        coalesce(ours.agency_tracking_id, theirs.agency_tracking_id) AS agency_tracking_id,
        ours.client,
        ours.reference,
        ours.amount AS our_amount,
        theirs.amount AS their_amount,
        ours.payment_status AS our_status,
        theirs.transaction_status AS their_status,
        ours.paygov_tracking_id AS our_paygov_tracking_id,
        theirs.paygov_tracking_id AS their_paygov_tracking_id
    FROM payments AS ours
    FULL OUTER JOIN theirs ON ours.agency_tracking_id = theirs.agency_tracking_id
    WHERE theirs.agency_tracking_id IS NOT NULL
        OR (
            ours.payment_status = 'success'
            AND ours.updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE)
            AND ours.updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)
        )
)

SELECT *
FROM compared
WHERE finding IS NOT NULL
ORDER BY finding, agency_tracking_id
