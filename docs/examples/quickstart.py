"""Collect a fee through Bursar: init, redirect, process, details. Needs botocore (pip install boto3)."""

import json
import os
import time
import urllib.error
import urllib.request
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PORTAL = os.environ.get("PORTAL_URL", "http://127.0.0.1:8080")
KEY = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
RETRY = (409, 429, 502, 503, 504)


def call(method, path, body=None):
    """Send a signed request. Return the status and the JSON of the answer, of an error too."""
    data = None if body is None else json.dumps(body).encode()
    signed = AWSRequest(method, PORTAL + path, data=data, headers={"Content-Type": "application/json"})
    SigV4Auth(KEY, "execute-api", "us-east-1").add_auth(signed)
    request = urllib.request.Request(signed.url, data, dict(signed.headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


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
