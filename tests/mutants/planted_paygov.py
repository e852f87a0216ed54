"""The mutants of Pay.gov's client, and of the HTTP client under it."""

from tests.mutants.mutants import weaken

weaken(
    "answers-about-ids-without-case",
    "Pay.gov's answer about an id that differs in case answers the question",
    "bursar.paygov.client:_only_about",
    "getattr(each, name) not in (None, asked)",
    "(getattr(each, name) or asked).lower() != asked.lower()",
    "paygov/test_client.py",
)
weaken(
    "lost-complete-sent-again",
    "the transport sends a request again when its reply is lost",
    "bursar.paygov.http_transport:HttpTransport.post",
    "    except ReplyLost as error:\n",
    "    except ReplyLost as error:\n"
    "        if error.args:\n"
    "            return await self._client.post(url, body, headers, timeout_s)\n",
    "paygov/test_errors.py",
)
weaken(
    "reply-of-any-status",
    "a reply counts as Pay.gov's success whatever its HTTP status",
    "bursar.paygov.soap:read_reply",
    "if status != HTTP_OK:",
    "if False:",
    "paygov/test_soap.py",
)
weaken(
    "fault-detail-as-its-code",
    "the return code and the detail of a fault are swapped",
    "bursar.paygov.soap:_fault",
    'Fault(code, _text_of(only(service_fault, "return_detail")))',
    'Fault(_text_of(only(service_fault, "return_detail")), code)',
    "paygov/test_soap.py",
)
weaken(
    "amounts-of-replies-rounded",
    "an amount of a reply with three decimals is rounded",
    "bursar.paygov.soap:_amount",
    "_AMOUNT.fullmatch(text)",
    "_AMOUNT.match(text)",
    "paygov/test_soap.py",
)
weaken(
    "tokens-unquoted",
    "a token is put into the payer's address as it is",
    "bursar.paygov.client:PayGov.payment_redirect",
    "quote(token, safe='')",
    "token",
    "paygov/test_client.py",
)
weaken(
    "patient-with-paygov",
    "a call to Pay.gov may last twice its timeout",
    "bursar.paygov.client:PayGov._call",
    "self._config.timeout_s",
    "2 * self._config.timeout_s",
    "paygov/test_client.py",
)
weaken(
    "old-connections-used",
    "the HTTP client takes a connection that has been idle for longer than its bound",
    "bursar.web.http_client:HttpClient._pooled",
    "connection.usable and now - connection.idle_since <= POOL_IDLE_MAX_S",
    "connection.usable",
    "web/test_http_client.py",
)
weaken(
    "longest-url-refused",
    "a URL of exactly the largest length is refused",
    "bursar.paygov.client:_checked_url",
    "len(value) > URL_CHARACTERS_MAX",
    "len(value) >= URL_CHARACTERS_MAX",
    "paygov/test_client.py",
)
weaken(
    "bearer-not-sent",
    "the bearer token of the configuration is not sent",
    "bursar.paygov.client:PayGov.__init__",
    "if config.bearer is not None:",
    "if False:",
    "paygov/test_client.py",
)
weaken(
    "fields-of-any-length",
    "a field of a reply may have any length",
    "bursar.paygov.soap:read_collection",
    " or len(text) > FIELD_CHARACTERS_MAX",
    "",
    "paygov/test_soap.py",
)
weaken(
    "control-characters-sent",
    "a control character is sent to Pay.gov",
    "bursar.paygov.soap:_escaped",
    "if _NOT_XML.search(value):",
    "if False:",
    "paygov/test_soap.py",
)
weaken(
    "details-of-any-length-kept",
    "the detail of a fault is kept whatever its length",
    "bursar.paygov.errors:Fault.__init__",
    "return_detail[:DETAIL_CHARACTERS_MAX]",
    "return_detail",
    "paygov/test_errors.py",
    "paygov/test_soap.py",
)
weaken(
    "connecting-takes-all-the-time",
    "connecting may take the whole time of a request",
    "bursar.web.http_client:HttpClient.post",
    "timeout_s * CONNECT_SHARE_MAX",
    "10 * timeout_s",
    "web/test_http_client.py",
)
weaken(
    "old-signatures-are-good",
    "a signature of any age is good",
    "bursar.web.sigv4:_check_clock",
    "abs(now - signed_at) <= CLOCK_SKEW_S_MAX",
    "signed_at - now <= CLOCK_SKEW_S_MAX",
    "web/test_sigv4.py",
)
