"""The transaction log of the dashboard's endpoints, over the reports and the fees of a composition."""

from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.portal.contract.views import PAYMENT_METHOD_LABELS
from bursar.reports.port import PaymentReports
from bursar.reports.transaction_log import SqlTransactionLog


def sql_transaction_log(reports: PaymentReports, fees: FeeCatalogue) -> SqlTransactionLog:
    """Return the log. It shows each fee by its present name."""
    return SqlTransactionLog(reports, lambda: {key: fees.name(key) for key in fees.keys}, PAYMENT_METHOD_LABELS)
