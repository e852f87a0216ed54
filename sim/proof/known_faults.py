"""Faults that reviewers planted and that neither a test nor the simulation noticed then: each is a mutant and a canary.

Each is (the place of a function, a piece of its text, the text instead of it), for :mod:`sim.proof.planting`.
"""

from typing import Final

Fault = tuple[str, str, str]
USE_CASES: Final = "bursar.portal.use_cases"

REFUSED_LOOKUP_MEANS_NONE: Final[Fault] = (
    f"{USE_CASES}.completion:look_up",
    "            if lookup.confirmed:\n                unanswered",
    "            if getattr(error, 'token_unusable', False):\n"
    "                return LookupAnswer(rules_out=True, reached=True)\n"
    "            if lookup.confirmed:\n                unanswered",
)
REFUSED_DETAILS_MEAN_FAILED: Final[Fault] = (
    f"{USE_CASES}.resolution:_ask_of_pending",
    "    except PayGovError as error:\n",
    "    except PayGovError as error:\n"
    "        if getattr(error, 'token_unusable', False):\n"
    "            how = {'event': 'bounced', 'actor': actor, 'return_code': '4117', 'return_detail': None}\n"
    "            return LookupResult(await portal.ledger.fail(attempt, **how), answered=True, reached=True)\n",
)
NO_GRACE: Final[Fault] = (f"{USE_CASES}.resolution:_token_is_dead", " - portal.settings.token_grace_s", "")
INIT_ENDS_WITH_ITS_CALLER: Final[Fault] = (
    f"{USE_CASES}.init_payment:init_payment",
    "await portal.finish(_fetch_token(portal, attempt))",
    "await _fetch_token(portal, attempt)",
)
AGENCY_IDS_WITHOUT_CASE: Final[Fault] = (
    f"{USE_CASES}.completion_outcomes:judge_collection",
    "agency_id != attempt.agency_tracking_id",
    "agency_id.lower() != attempt.agency_tracking_id.lower()",
)
EVENTS_WITHOUT_AUTHORISATION: Final[Fault] = (
    f"{USE_CASES}.payment_details:_own",
    "    authorise(client, view.obligation.fee)\n",
    "    if not events:\n        authorise(client, view.obligation.fee)\n",
)
FEE_KEYS_BY_THEIR_BEGINNING: Final[Fault] = (
    "bursar.payments.catalogue.clients:Client.may_charge",
    "fee_key in self.fees",
    "any(fee_key.startswith(each) for each in self.fees)",
)
NO_REFUSAL_USES_THE_REPEAT: Final[Fault] = (
    f"{USE_CASES}.completion:_is_refused_again",
    "refusal.token_unusable and refused_before",
    "refusal.token_unusable",
)
LARGER_AMOUNT_IS_THE_SAME: Final[Fault] = (
    f"{USE_CASES}.init_payment:_initiated",
    "attempt.amount != request.amount",
    "attempt.amount < request.amount",
)
EQUAL_REFUNDS_ARE_ONE: Final[Fault] = (
    "bursar.payments.ledger.reversals:Reversals.approve",
    "report_id=str(seq)",
    "report_id=None",
)
