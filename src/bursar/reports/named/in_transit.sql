-- How much has Pay.gov collected that no known deposit ticket holds, and how much of it has not settled yet?
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- payments [payments, total]: payments that no known deposit ticket holds
-- in_transit [USD, total]: their amounts
-- not_settled [USD, total]: the part of it that has not settled yet
-- chart bars: client; in_transit; fee

-- These are balances of payment_postings, whose lines would need every event. Only oldest_on needs events: those of
-- payments that had started when the first one was paid.
WITH back AS (
    SELECT agency_tracking_id, sum(amount) AS amount
    FROM reversals
    GROUP BY agency_tracking_id
),

held AS (
    SELECT
        attempts.client,
        attempts.fee,
        attempts.agency_tracking_id,
        attempts.created_on,
        attempts.final_on,
        CAST(
            attempts.amount
            - CASE WHEN tickets.agency_tracking_id IS NULL THEN coalesce(back.amount, 0) ELSE tickets.amount END
            AS DECIMAL(18, 2)
        ) AS in_transit,
        CASE WHEN attempts.status = 'pending' THEN attempts.amount ELSE 0 END AS unsettled
    FROM payments AS attempts
    LEFT JOIN back ON attempts.agency_tracking_id = back.agency_tracking_id
    LEFT JOIN deposits AS tickets ON attempts.agency_tracking_id = tickets.agency_tracking_id
    WHERE attempts.status IN ('pending', 'processed')
        AND CAST($fee AS VARCHAR) IN ('*', attempts.fee)
        AND CAST($client AS VARCHAR) IN ('*', attempts.client)
),

sums AS (
    SELECT
        client,
        fee,
        count(*) AS payments,
        sum(in_transit) AS in_transit,
        sum(unsettled) AS not_settled,
        -- one day more, because the clocks of two machines may differ at midnight
        CAST(coalesce(min(final_on), DATE '2999-12-30') + INTERVAL '1' DAY AS DATE) AS oldest_until
    FROM held
    WHERE in_transit <> 0
    GROUP BY client, fee
),

accepted AS (
    SELECT agency_tracking_id, occurred_on
    FROM payment_events
    WHERE to_status = 'pending' AND occurred_on <= (SELECT max(oldest_until) FROM sums)
),

oldest AS (
    SELECT held.client, held.fee, min(coalesce(accepted.occurred_on, held.final_on)) AS oldest_on
    FROM held
    LEFT JOIN accepted ON held.agency_tracking_id = accepted.agency_tracking_id
    WHERE held.in_transit <> 0 AND held.created_on <= (SELECT max(oldest_until) FROM sums)
    GROUP BY held.client, held.fee
)

SELECT sums.client, sums.fee, sums.payments, sums.in_transit, sums.not_settled, oldest.oldest_on
FROM sums
INNER JOIN oldest ON sums.client = oldest.client AND sums.fee = oldest.fee
ORDER BY sums.client, sums.fee
