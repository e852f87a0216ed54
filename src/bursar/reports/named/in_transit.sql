-- How much has Pay.gov collected that no known deposit ticket holds, and how much of it has not settled yet?
-- $fee FEE = *: key of the fee
-- $client CLIENT = *: name of the client
-- payments [payments, total]: payments that no known deposit ticket holds
-- in_transit [USD, total]: their amounts
-- not_settled [USD, total]: the part of it that has not settled yet
-- chart bars: client; in_transit; fee

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
        AND CAST($fee AS VARCHAR) IN ('*', fee)
        AND CAST($client AS VARCHAR) IN ('*', client)
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
