"""A fake of Stripe's API, after its public reference: customers, Checkout sessions, payment intents, refunds, disputes.

Idempotency as Stripe describes it: the same key with the same parameters gets the first answer again, with others an error;
what validation refuses is not kept.
"""

import json
import time
from copy import deepcopy
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from catalyst_testkit.fake_registrar import FakeAnswer, FakeRegistrar, FakeRequest

KEY = "sk_test_canary_0123456789abcdef"
CURRENCIES = {"bhd", "eur", "jpy", "kwd", "omr", "usd"}
THREE = {"bhd", "kwd", "omr"}


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, type: str, code: str, param: str = "", **more: Any) -> None:
        super().__init__(code)
        message = f"Something about {KEY} and {param or code}"  # a message may repeat what was sent
        self.answer = FakeAnswer(
            status, {"error": {"type": type, "code": code, "param": param, "message": message, **more}}
        )


class FakeStripe(FakeRegistrar):
    """One account.

    trouble   the next answers, before anything is done: statuses
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, Any]] = {}
        self.kept: dict[str, tuple[Any, FakeAnswer]] = {}
        self.trouble: list[int] = []
        self._count = count(1)

    def answer(self, request: FakeRequest) -> FakeAnswer:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Refusal(401, "invalid_request_error", "api_key_invalid").answer
        if self.trouble:
            return Refusal(self.trouble.pop(0), "api_error", "rate_limit").answer
        params = nested(
            parse_qsl(request.text, keep_blank_values=True) if request.text else list(request.query.items())
        )
        key, wish = request.headers.get("idempotency-key", ""), (request.path, json.dumps(params, sort_keys=True))
        if request.method == "POST" and key in self.kept:
            before, answer = self.kept[key]
            if before != wish:
                return Refusal(400, "idempotency_error", "").answer
            return answer
        try:
            answer = FakeAnswer(200, self._answer(request.method, request.path.split("/")[2:], params))
        except Refusal as refusal:
            if refusal.answer.status != 402:
                return refusal.answer
            answer = refusal.answer
        if request.method == "POST" and key:
            self.kept[key] = (
                wish,
                FakeAnswer(answer.status, deepcopy(answer.body)),
            )  # as it was, whatever becomes of it
        return answer

    def _answer(self, method: str, path: list[str], params: dict[str, Any]) -> Any:
        match method, path:
            case "POST", ["customers"]:
                return self._new("customer", "cus", **params)
            case "POST", ["checkout", "sessions"]:
                return self._session(params)
            case "POST", ["checkout", "sessions", id, "expire"]:
                return self._expire(id)
            case "POST", ["payment_intents"]:
                return self._charge(params)
            case "GET", ["payment_intents"]:
                return self._list("payment_intent", params)
            case "POST", ["refunds"]:
                return self._refund(params)
            case "GET", ["refunds"]:
                return self._list("refund", params)
            case "POST", ["billing_portal", "sessions"]:
                self._row("customer", params["customer"])
                return self._new("billing_portal.session", "bps", url="https://billing.stripe.example/p/session")
            case "GET", [*kind, id]:
                names = {"sessions": "checkout.session", "payment_intents": "payment_intent"}
                names |= {"refunds": "refund", "disputes": "dispute"}
                return self._expanded(self._row(names[kind[-1]], id))
        raise Refusal(404, "invalid_request_error", "url_invalid")

    def _new(self, kind: str, prefix: str, **values: Any) -> dict[str, Any]:
        id = f"{prefix}_{next(self._count):08}"
        self.rows[id] = {"id": id, "object": kind, "created": int(time.time()), **values}
        return self.rows[id]

    def _row(self, kind: str, id: str) -> dict[str, Any]:
        row = self.rows.get(id)
        if row is None or row["object"] != kind:
            raise Refusal(404, "invalid_request_error", "resource_missing", "id")
        return row

    def _session(self, params: dict[str, Any]) -> dict[str, Any]:
        price = params["line_items"]["0"]["price_data"]
        _check(int(price["unit_amount"]), price["currency"], "line_items[0][price_data][unit_amount]")
        left = int(params["expires_at"]) - time.time()
        if not 1800 <= left <= 86_400:
            raise Refusal(400, "invalid_request_error", "parameter_invalid_integer", "expires_at")
        made = self._new(
            "checkout.session", "cs", status="open", payment_status="unpaid", payment_intent=None,
            amount_total=int(price["unit_amount"]), currency=price["currency"], customer=params.get("customer"),
            metadata=params.get("metadata", {}), wish=params.get("payment_intent_data", {}),
        )  # fmt: skip
        made["url"] = f"https://checkout.stripe.example/c/{made['id']}"
        return made

    def _expire(self, id: str) -> dict[str, Any]:
        session = self._row("checkout.session", id)
        if session["status"] != "open":
            raise Refusal(400, "invalid_request_error", "")
        session["status"] = "expired"
        return session

    def pay(self, ref: str, *, card: str = "4242", status: str = "succeeded") -> None:
        """A customer pays on the page; `status` is the intent's."""
        session = self.rows[ref]
        intent = self._intent(
            session["amount_total"], session["currency"], session["wish"].get("metadata", {}), session["customer"],
            f"pm_{card}", status,
        )  # fmt: skip
        intent["setup_future_usage"] = session["wish"].get("setup_future_usage")
        session |= {"status": "complete", "payment_intent": intent["id"]}
        session["payment_status"] = "paid" if status == "succeeded" else "unpaid"

    def decline(self, ref: str) -> None:
        """A customer's card is declined; the page stays open."""
        self.pay(ref, status="requires_payment_method")
        session = self.rows[ref]
        session |= {"status": "open"}
        error = {"code": "card_declined", "decline_code": "insufficient_funds"}
        self.rows[session["payment_intent"]]["last_payment_error"] = error

    def _intent(
        self, amount: int, currency: str, metadata: Any, customer: str | None, method: str, status: str
    ) -> dict[str, Any]:
        card = {"brand": "visa", "last4": method[-4:]}
        details = {"type": "card", "card": card}
        charge = self._new("charge", "ch", payment_method_details=details)
        return self._new(
            "payment_intent", "pi", amount=amount, currency=currency, status=status, metadata=metadata,
            amount_received=amount if status == "succeeded" else 0, customer=customer, payment_method=method,
            latest_charge=charge["id"], last_payment_error=None, setup_future_usage=None,
        )  # fmt: skip

    def _charge(self, params: dict[str, Any]) -> dict[str, Any]:
        _check(int(params["amount"]), params["currency"], "amount")
        self._row("customer", params["customer"])
        bad = params["payment_method"] == "pm_declined"
        intent = self._intent(
            int(params["amount"]), params["currency"], params.get("metadata", {}), params["customer"],
            params["payment_method"], "requires_payment_method" if bad else "succeeded",
        )  # fmt: skip
        if bad:
            intent["last_payment_error"] = {"code": "card_declined", "decline_code": "stolen_card"}
            raise Refusal(
                402, "card_error", "card_declined", decline_code="stolen_card", payment_intent=self._expanded(intent)
            )
        return self._expanded(intent)

    def _refund(self, params: dict[str, Any]) -> dict[str, Any]:
        intent = self._row("payment_intent", params["payment_intent"])
        before = sum(
            r["amount"] for r in self.rows.values() if r.get("payment_intent") == intent["id"] and _is_refund(r)
        )
        if int(params["amount"]) > intent["amount_received"] - before:
            code = "charge_already_refunded" if before == intent["amount_received"] else "parameter_invalid_integer"
            raise Refusal(400, "invalid_request_error", code, "amount")
        return self._new(
            "refund", "re", amount=int(params["amount"]), currency=intent["currency"], status="succeeded",
            payment_intent=intent["id"], metadata=params.get("metadata", {}),
        )  # fmt: skip

    def dispute(self, payment: str, status: str = "needs_response") -> str:
        """A payer's bank disputes a payment."""
        intent = self.rows[payment]
        return str(
            self._new(
                "dispute", "dp", amount=intent["amount"], currency=intent["currency"], status=status,
                payment_intent=payment, reason="fraudulent",
            )["id"]
        )  # fmt: skip

    def _list(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        rows = [row for row in reversed(self.rows.values()) if row["object"] == kind]
        since = int(params.get("created", {}).get("gte", 0))
        rows = [row for row in rows if row["created"] >= since]
        if wanted := params.get("payment_intent"):
            rows = [row for row in rows if row["payment_intent"] == wanted]
        if after := params.get("starting_after"):
            rows = rows[next(n for n, row in enumerate(rows) if row["id"] == after) + 1 :]
        limit = min(int(params.get("limit", 10)), 2)  # small pages, so that they are turned
        page = [self._expanded(row) for row in rows[:limit]]
        return {"object": "list", "url": f"/v1/{kind}s", "has_more": len(rows) > limit, "data": page}

    def _expanded(self, row: dict[str, Any]) -> dict[str, Any]:
        known = {name: self.rows[str(row[name])] for name in ("payment_intent", "latest_charge") if row.get(name)}
        if row["object"] in ("refund", "dispute"):
            known.pop("payment_intent", None)
        return {**row, **{name: self._expanded(one) for name, one in known.items()}}


def _is_refund(row: dict[str, Any]) -> bool:
    return row["object"] == "refund"


def _check(amount: int, currency: str, param: str) -> None:
    if currency not in CURRENCIES:
        raise Refusal(400, "invalid_request_error", "invalid_currency", "currency")
    if amount < 50 or (currency in THREE and amount % 10):
        raise Refusal(400, "invalid_request_error", "amount_too_small", param)


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][0]=c` as Stripe reads it; lists are kept by their numbers."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        first, *rest = name.replace("]", "").split("[")
        here = found
        for part in [first, *rest][:-1]:
            here = here.setdefault(part, {})
        here[[first, *rest][-1]] = value
    return found
