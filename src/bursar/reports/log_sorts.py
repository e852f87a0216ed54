"""The fields by which a transaction log can be sorted, by the API's names. The portal validates and documents them."""

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
