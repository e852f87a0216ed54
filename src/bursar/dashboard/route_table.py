"""The route table: every URL of the dashboard and the roles that may use it. The gate reads the roles from here.

A test requests each route with every role that it does not name.
"""

from typing import Final

from bursar.dashboard.multipart import UPLOAD_PATH
from bursar.dashboard.pages import (
    access_log,
    exports,
    operations,
    provider_sign_in,
    sandbox,
    saved_views,
    sign_in,
    transactions,
    webhooks,
)
from bursar.dashboard.pages.overview import attention, overview
from bursar.dashboard.pages.payment import actions, page, receipt
from bursar.dashboard.pages.reconciliation import runs, upload
from bursar.dashboard.pages.reports import reports, sql
from bursar.dashboard.sign_in.roles import (
    AUDITORS,
    EVERY_ROLE,
    EXPORTERS,
    OPERATORS,
    RECONCILERS,
    REFUND_CHECKERS,
    REFUND_MAKERS,
    SEE_OPERATIONS,
    SEE_PERSONAL_DATA,
    SEE_RECONCILIATIONS,
    SIGN_OFF_RECONCILIATIONS,
    Role,
)
from bursar.dashboard.site import PageRoute


def _action(name: str, path: str, roles: frozenset[Role]) -> tuple[PageRoute, PageRoute]:
    """Return the confirmation of an action of a payment, and the action."""
    target = f"/attempts/{{attempt}}/{path}"
    return (
        PageRoute(f"confirm_{name}", "GET", target, actions.confirm(name), roles, "portal"),
        PageRoute(f"send_{name}", "POST", target, actions.send(name), roles, "portal"),
    )


def _webhook_action(action: webhooks.WebhookAction) -> tuple[PageRoute, PageRoute]:
    """Return the confirmation of an action on webhooks, and the action."""
    target = f"/operations/webhooks/{action}"
    return (
        PageRoute(f"confirm_webhook_{action}", "GET", target, webhooks.confirm(action), OPERATORS, "webhook_actions"),
        PageRoute(f"send_webhook_{action}", "POST", target, webhooks.send(action), OPERATORS, "webhook_actions"),
    )


# fmt: off
ROUTES: Final[tuple[PageRoute, ...]] = (
    PageRoute("sign_in", "GET", "/sign-in", sign_in.show_sign_in, None),
    PageRoute("send_sign_in", "POST", "/sign-in", sign_in.sign_in, None),
    PageRoute("go_to_provider", "GET", "/sign-in/provider", provider_sign_in.go_to_provider, None, "provider"),
    PageRoute("come_back", "GET", "/sign-in/callback", provider_sign_in.come_back, None, "provider"),
    PageRoute(
        "back_channel_logout", "POST", "/sign-in/back-channel-logout", provider_sign_in.back_channel_logout, None,
        "provider", is_back_channel=True,
    ),
    PageRoute("preferences", "POST", "/preferences", sign_in.save_preferences, None),
    PageRoute("sign_out", "POST", "/sign-out", sign_in.sign_out, EVERY_ROLE),
    PageRoute("sign_out_everywhere", "POST", "/sign-out-everywhere", sign_in.sign_out_everywhere, EVERY_ROLE),
    PageRoute("overview", "GET", "/", overview.show_overview, EVERY_ROLE),
    PageRoute("download_chart", "GET", "/charts/collected.{form}", overview.download_chart, EVERY_ROLE),
    PageRoute("attention", "GET", "/attention", attention.show_attention, EVERY_ROLE),
    PageRoute("transactions", "GET", "/transactions", transactions.show_transactions, EVERY_ROLE),
    PageRoute("export_transactions", "GET", "/transactions.{form}", transactions.export_transactions, EXPORTERS),
    PageRoute("export_progress", "GET", "/exports/{run}", exports.show_progress, EXPORTERS),
    PageRoute("stop_export", "POST", "/exports/{run}/stop", exports.stop_export, EXPORTERS),
    PageRoute("save_view", "POST", "/views", saved_views.save_view, EVERY_ROLE),
    PageRoute("remove_view", "POST", "/views/{view}/remove", saved_views.remove_view, EVERY_ROLE),
    PageRoute("payment", "GET", "/payments/{client}/{reference}", page.show_payment, EVERY_ROLE),
    PageRoute(
        "show_personal_data", "POST", "/payments/{client}/{reference}/personal-data", page.show_personal_data,
        SEE_PERSONAL_DATA,
    ),
    PageRoute("receipt", "GET", "/payments/{client}/{reference}/receipt", receipt.show_receipt, EVERY_ROLE),
    PageRoute("receipt_pdf", "GET", "/payments/{client}/{reference}/receipt.pdf", receipt.send_receipt_pdf, EVERY_ROLE),
    *_action("refresh", "refresh", OPERATORS),
    *_action("resolve", "resolve", OPERATORS),
    *_action("acknowledge", "acknowledge", OPERATORS),
    *_action("record_reversal", "reversal", OPERATORS),
    *_action("request_refund", "refund", REFUND_MAKERS),
    *_action("approve_refund", "refunds/{number}/approve", REFUND_CHECKERS),
    *_action("reject_refund", "refunds/{number}/reject", REFUND_CHECKERS),
    PageRoute("reports", "GET", "/reports", reports.list_reports, EXPORTERS),
    PageRoute("report", "GET", "/reports/{name}", reports.show_report, EXPORTERS),
    PageRoute("export_report", "GET", "/reports/{name}/{form}", reports.export_report, EXPORTERS),
    PageRoute("sql", "GET", "/sql", sql.show_sql, EXPORTERS),
    PageRoute("run_sql", "POST", "/sql", sql.run_sql, EXPORTERS),
    PageRoute("stop_sql", "POST", "/sql/stop", sql.stop_sql, EXPORTERS),
    PageRoute("export_sql", "POST", "/sql/export", sql.export_sql, EXPORTERS),
    PageRoute("save_query", "POST", "/sql/queries", sql.save_query, EXPORTERS),
    PageRoute("remove_query", "POST", "/sql/queries/{query}/remove", sql.remove_query, EXPORTERS),
    PageRoute("reconciliation", "GET", "/reconciliation", runs.show_reconciliations, SEE_RECONCILIATIONS),
    PageRoute("show_upload", "GET", UPLOAD_PATH, upload.show_upload, RECONCILERS, "portal"),
    PageRoute("upload", "POST", UPLOAD_PATH, upload.upload, RECONCILERS, "portal", is_upload=True),
    PageRoute("reconciliation_run", "GET", "/reconciliation/{run}", runs.show_run, SEE_RECONCILIATIONS),
    PageRoute(
        "export_reconciliation", "GET", "/reconciliation/{run}/differences.csv", runs.export_run, EXPORTERS
    ),
    PageRoute(
        "confirm_sign_off", "GET", "/reconciliation/{run}/sign-off", runs.confirm_sign_off,
        SIGN_OFF_RECONCILIATIONS, "portal",
    ),
    PageRoute(
        "sign_off_reconciliation", "POST", "/reconciliation/{run}/sign-off", runs.sign_off,
        SIGN_OFF_RECONCILIATIONS, "portal",
    ),
    PageRoute("operations", "GET", "/operations", operations.show_operations, SEE_OPERATIONS),
    *_webhook_action("retry"),
    *_webhook_action("test"),
    *_webhook_action("replay"),
    PageRoute("access_log", "GET", "/access-log", access_log.show_access_log, AUDITORS),
    PageRoute("export_access_log", "GET", "/access-log.csv", access_log.export_access_log, AUDITORS),
    PageRoute("sandbox", "GET", "/sandbox", sandbox.show_sandbox, EVERY_ROLE, "sandbox"),
    PageRoute("begin_payment", "POST", "/sandbox", sandbox.begin_payment, EVERY_ROLE, "sandbox"),
    PageRoute("sandbox_return", "GET", "/sandbox/{reference}/return", sandbox.come_back, EVERY_ROLE, "sandbox"),
    PageRoute(
        "sandbox_cancelled", "GET", "/sandbox/{reference}/cancelled", sandbox.show_cancelled, EVERY_ROLE, "sandbox"
    ),
    PageRoute("sandbox_payment", "GET", "/sandbox/{reference}", sandbox.show_payment, EVERY_ROLE, "sandbox"),
)
# fmt: on
