"""The fields by which a transaction log can be sorted, by their names in the API. The portal documents them."""

from typing import Final

LOG_SORTS: Final = (
    "createdAt",
    "lastUpdatedAt",
    "feeName",
    "transactionAmount",
    "paymentMethod",
    "paymentStatus",
    "returnDetail",
    "transactionStatus",
    "clientName",
    "transactionReferenceId",
)
