"""Collect a fee through Bursar: init, redirect, process, details. Needs pip install requests-aws4auth."""

import os
import time
import uuid

import requests
from requests_aws4auth import AWS4Auth

PORTAL = os.environ.get("PORTAL_URL", "http://127.0.0.1:8080")
KEY = AWS4Auth(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], "us-east-1", "execute-api")
RETRY = (409, 429, 502, 503, 504)


def call(method, path, content=None):
    """Send a signed request. Return the status and the JSON of the answer, of an error too."""
    answer = requests.request(method, PORTAL + path, json=content, auth=KEY, timeout=60)
    return answer.status_code, answer.json()


order = {
    "transactionReferenceId": str(uuid.uuid4()),  # names what is owed: store it before the first call
    "fee": "PETITION_FILING_FEE",
    "urlSuccess": "https://client.example/paid",
    "urlCancel": "https://client.example/cancelled",
    "metadata": {"docketNumber": "123-26"},
}
status, started = call("POST", "/init", order)
if status != 200:
    raise SystemExit(f"init: {started['code']}: {started['message']}")
print("Send the payer to", started["paymentRedirect"], flush=True)
input("Press Enter when the payer is back. ")

status, payment = call("POST", "/process", {"token": started["token"]})
while status in RETRY:  # process never charges twice, so it is safe to repeat; never start another payment
    print("process:", payment["code"])
    time.sleep(2)
    status, payment = call("POST", "/process", {"token": started["token"]})
while payment.get("paymentStatus") == "pending":  # a bank debit settles within days: ask seldom in production
    time.sleep(2)
    status, payment = call("GET", f"/details/{order['transactionReferenceId']}")
print("The payment is", payment.get("paymentStatus") or payment["code"])
