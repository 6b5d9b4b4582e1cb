"""Create an application for an order once, extend its term by a year, and print the application.

    HOLDFAST_KEY=hfk_... python examples/worker.py order-4711

The key belongs to a user with the roles service and officer. Started again for the same order, the worker finds the
application it made and extends the term again; workers that run at the same time lose none of each other's changes.
"""

import json
import os
import sys
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

APPLICATIONS = os.environ.get("HOLDFAST_URL", "http://localhost:8000") + "/api/applications"
api = requests.Session()
api.headers["Authorization"] = f"Bearer {os.environ['HOLDFAST_KEY']}"
# With its Idempotency-Key a POST may be repeated after any failure; 409 says that the first call still runs.
again = Retry(8, backoff_factor=0.2, status_forcelist=[409, 429, 502, 503, 504], allowed_methods=["POST"])
api.mount("http://", HTTPAdapter(max_retries=again))
api.mount("https://", HTTPAdapter(max_retries=again))


def create(order: str) -> Any:
    """Return the order's application; made once, however often this is called within 24 hours."""
    new = {"applicantName": "Ada", "email": "ada@example.org", "amountMinor": 12000, "currency": "EUR"}
    made = api.post(APPLICATIONS, json=new | {"termMonths": 24}, headers={"Idempotency-Key": order}, timeout=30)
    made.raise_for_status()
    return made.json()


def extend(application_id: str, months: int) -> Any:
    """Add *months* to the term; read the application again whenever somebody else changed it first."""
    while True:
        read = api.get(f"{APPLICATIONS}/{application_id}", timeout=30)
        read.raise_for_status()
        version, term = read.json()["version"], read.json()["termMonths"] + months
        change = {"version": version, "termMonths": term}
        put = api.put(f"{APPLICATIONS}/{application_id}", json=change, timeout=30)
        # A 409 with a newer version is a lost race; any other is final, such as a term that is fixed by now.
        if put.status_code != requests.codes.conflict or put.json().get("currentVersion") == version:
            put.raise_for_status()
            return put.json()


if __name__ == "__main__":
    print(json.dumps(extend(create(sys.argv[1])["applicationId"], months=12)))
