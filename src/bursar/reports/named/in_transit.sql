-- How much has Pay.gov collected that no known deposit ticket holds, and how much of it has not settled yet?

WITH held AS (
    SELECT
        client,
        fee,
        agency_tracking_id,
        sum(CASE WHEN account = 'in_transit' THEN amount ELSE 0 END) AS in_transit,
        sum(CASE WHEN account = 'unsettled' THEN -amount ELSE 0 END) AS unsettled,
        min(CASE WHEN account = 'in_transit' THEN posted_on END) AS since
    FROM payment_postings
    WHERE account IN ('in_transit', 'unsettled')
    GROUP BY client, fee, agency_tracking_id
)

SELECT
    client,
    fee,
    count(*) AS payments,
    sum(in_transit) AS in_transit,
    sum(unsettled) AS not_settled,
    min(since) AS oldest_on
FROM held
WHERE in_transit <> 0
GROUP BY client, fee
ORDER BY client, fee
