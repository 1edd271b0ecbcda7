"""Which requests users make of the shop, and how they go: a pure function of a random generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from tidegauge.simulate.plan import (
    MILLISECOND,
    Attributes,
    Builder,
    Event,
    Kind,
    Log,
    Measurement,
    Outcome,
    Request,
    Severity,
    Step,
    fail,
)
from tidegauge.simulate.shop import CART, CHECKOUT, FRONTEND, INVENTORY, PAYMENT, PRODUCTS, USER_AGENTS

SHARES: Mapping[Outcome, float] = MappingProxyType(
    {Outcome.SUCCESS: 0.74, Outcome.SLOW: 0.10, Outcome.ERROR: 0.08, Outcome.MALFORMED: 0.08}
)


def make_requests(random: Random, count: int) -> list[Request]:
    """``count`` user requests, and the traces that follow from them (an order that is worked on later is a trace of its own)."""
    made: list[Request] = []
    for _ in range(count):
        outcome = random.choices(list(SHARES), list(SHARES.values()))[0]
        made.extend(_request(Builder(random, outcome)))
    return made


def _request(build: Builder) -> list[Request]:
    if build.outcome is Outcome.MALFORMED:
        makers, weights = _MALFORMED, [1] * len(_MALFORMED)
    else:
        makers, weights = _WELL_FORMED, [4, 4, 2, 2]
    root = build.random.choices(makers, weights)[0](build)
    root.attributes.setdefault("client.address", f"203.0.113.{build.random.randrange(1, 255)}")
    root.lay_out(0)
    request = Request(build.trace_id, build.outcome, root)
    order = next((step for step in root.walk() if step.kind is Kind.PRODUCER), None)
    return [request] if order is None else [request, _fulfilment(build, order)]


def _browse(build: Builder) -> Step:
    rows = build.random.randint(3, 40)
    query = build.database(INVENTORY, "postgresql", "SELECT", "products", 6)
    query.attributes["db.response.returned_rows"] = rows
    inventory = build.server(INVENTORY, "GET", "/api/products", "/api/products", _trouble(build, query, 503), query)
    inventory.logs.append(Log(Severity.DEBUG, f"found {rows} products", {"shop.products": rows}, 0.8))
    return _page(build, "GET", "/products", "/products", inventory)


def _view(build: Builder) -> Step:
    product = build.random.choice(PRODUCTS)
    query = build.database(INVENTORY, "postgresql", "SELECT", "products", 3)
    query.attributes["db.query.parameter.id"] = product
    inventory = build.server(INVENTORY, "GET", "/api/products/{product_id}", f"/api/products/{product}", _trouble(build, query, 503), query)
    return _page(build, "GET", "/products/{product_id}", f"/products/{product}", inventory)


def _add_to_cart(build: Builder) -> Step:
    quantity = build.random.randint(1, 5)
    store = build.database(CART, "redis", "HSET", "cart", 1)
    cart = build.server(CART, "POST", "/api/carts/{user_id}", f"/api/carts/{build.user}", _trouble(build, store, 500, 201), store)
    cart.attributes["shop.quantity"] = quantity
    cart.logs.append(Log(Severity.INFO, f"{build.user} put {quantity} items into the cart", {"user.id": build.user}, 0.7))
    return _page(build, "POST", "/cart/items", "/cart/items", cart)


def _checkout(build: Builder) -> Step:
    amount = round(build.random.lognormvariate(3.7, 0.8), 2)
    method = build.random.choice(["card", "paypal", "invoice"])
    gateway = build.step(PAYMENT, "authorize", Kind.INTERNAL, 35, {"shop.payment.method": method, "shop.payment.amount": amount})
    status = _trouble(build, gateway, 502)
    read = build.call(
        CHECKOUT,
        build.server(
            CART, "GET", "/api/carts/{user_id}", f"/api/carts/{build.user}", 200, build.database(CART, "redis", "HGETALL", "cart", 1)
        ),
    )
    reserve = build.call(
        CHECKOUT,
        build.server(
            INVENTORY,
            "POST",
            "/api/reservations",
            "/api/reservations",
            201,
            build.database(INVENTORY, "postgresql", "UPDATE", "stock", 5),
        ),
    )
    pay = build.call(CHECKOUT, build.server(PAYMENT, "POST", "/api/charges", "/api/charges", status, gateway))
    checkout = build.server(CHECKOUT, "POST", "/api/orders", "/api/orders", 502 if status >= 500 else 201, read, reserve, pay)
    labels: Attributes = {"shop.payment.method": method, "shop.order.outcome": "placed" if status < 500 else "failed"}
    checkout.measurements.append(Measurement("shop.orders", 1, labels))
    if status < 500:
        checkout.children.append(build.step(CHECKOUT, "send orders", Kind.PRODUCER, 2, _messaging("send", build.user)))
        checkout.measurements.append(Measurement("shop.order.value", amount, {"shop.payment.method": method}))
        checkout.logs.append(
            Log(Severity.INFO, f"order placed for {amount:.2f} EUR", {"user.id": build.user, "shop.order.value": amount}, 0.95)
        )
    return _page(build, "POST", "/checkout", "/checkout", checkout)


def _fulfilment(build: Builder, order: Step) -> Request:
    """Inventory works on the order later: a new trace whose root links to the producer's span."""
    root = build.step(INVENTORY, "process orders", Kind.CONSUMER, 8, _messaging("process", build.user))
    root.children.append(build.database(INVENTORY, "postgresql", "UPDATE", "stock", 5))
    root.logs.append(Log(Severity.INFO, "order is packed", {"user.id": build.user}, 0.9))
    root.lay_out(order.end_ns + build.random.randrange(5, 400) * MILLISECOND)
    return Request(build.random.getrandbits(128) or 1, Outcome.SUCCESS, root, linked=(build.trace_id, order.span_id))


def _messaging(operation: str, user: str) -> Attributes:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": "orders",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.kafka.message.key": user,
    }


def _page(build: Builder, method: str, route: str, path: str, backend: Step) -> Step:
    """The frontend's part: calls ``backend`` and renders what came back."""
    status = backend.attributes["http.response.status_code"]
    assert isinstance(status, int)
    shown = min(status, 500)
    render = build.step(FRONTEND, "render", Kind.INTERNAL, 3, {"shop.template": route.strip("/").replace("/", "_") or "index"})
    page = build.server(FRONTEND, method, route, path, shown, build.call(FRONTEND, backend), render)
    page.attributes["user_agent.original"] = build.random.choice(USER_AGENTS)
    page.attributes["user.id"] = build.user
    page.logs.append(
        Log(
            Severity.ERROR if shown >= 500 else Severity.INFO,
            f"{method} {path} {shown}",
            {"http.request.method": method, "http.route": route, "http.response.status_code": shown},
            1.0,
        )
    )
    return page


def _trouble(build: Builder, step: Step, failed: int, fine: int = 200) -> int:
    """Let ``step`` be slow or fail as the request's outcome says; returns the status its caller answers with."""
    if build.outcome is Outcome.SLOW:
        step.own_ns = build.random.randrange(800, 2500) * MILLISECOND
        waited = step.own_ns // MILLISECOND
        step.events.append(Event("lock.waited", {"lock.wait_ms": waited}, 0.6))
        step.logs.append(Log(Severity.WARN, f"{step.name} took {waited} ms", {"slow.threshold_ms": 500, "slow.duration_ms": waited}, 1.0))
    if build.outcome is not Outcome.ERROR:
        return fine
    exception, message = build.random.choice(_REFUSED_PAYMENTS if step.kind is Kind.INTERNAL else _BACKEND_FAILURES)
    fail(step, exception, message)
    return failed


_BACKEND_FAILURES = (
    ("ConnectionRefusedError", "[Errno 111] connection refused"),
    ("TimeoutError", "no answer within 500 ms"),
    ("shop.errors.Conflict", "could not serialize access due to concurrent update"),
)
_REFUSED_PAYMENTS = (
    ("shop.errors.Declined", "the gateway declined: insufficient funds"),
    ("TimeoutError", "no answer from the gateway within 2 s"),
)


def _refusal(build: Builder, method: str, route: str | None, path: str, status: int, reason: str, details: Attributes) -> Step:
    """A request that the frontend refuses: 4xx, no error status (semantic conventions), a warning in the log."""
    page = build.server(FRONTEND, method, route or "", path, status)
    page.attributes["user_agent.original"] = build.random.choice(USER_AGENTS)
    page.attributes.update(details)
    page.events.append(Event("request.refused", {"reason": reason}, 0.4))
    page.logs.append(Log(Severity.WARN, f"refused: {reason}", {"http.response.status_code": status, **details}, 0.9))
    if route is None:
        del page.attributes["http.route"]
        page.name = method if method != "_OTHER" else "HTTP"
    return page


def _not_json(build: Builder) -> Step:
    body = '{"product_id": "OLJCESPC7Z", "quantity": '
    return _refusal(
        build, "POST", "/cart/items", "/cart/items", 400, "the body is not JSON", {"http.request.body.size": len(body), "shop.body": body}
    )


def _missing_fields(build: Builder) -> Step:
    errors = ["payment.method is required", "address.zip must have 5 digits", "items must not be empty"]
    found = sorted(build.random.sample(errors, build.random.randint(1, 3)))
    return _refusal(build, "POST", "/checkout", "/checkout", 422, "; ".join(found), {"validation.errors": found})


def _no_such_product(build: Builder) -> Step:
    return _refusal(build, "GET", "/products/{product_id}", "/products/%00%ff", 404, "no such product", {"shop.product.id": "\x00\ufffd"})


def _odd_method(build: Builder) -> Step:
    return _refusal(
        build,
        "_OTHER",
        None,
        "/",
        405,
        "method not allowed",
        {"http.request.method_original": build.random.choice(["FROBNICATE", "get", ""])},
    )


def _endless_query(build: Builder) -> Step:
    return _refusal(build, "GET", None, "/search", 414, "the query is too long", {"url.query": "q=" + "a%20" * 1000})


def _wrong_media_type(build: Builder) -> Step:
    page = _refusal(
        build, "POST", "/cart/items", "/cart/items", 415, "expected application/json", {"http.request.header.content-type": ["text/plain"]}
    )
    del page.attributes["user_agent.original"]
    return page


def _odd_values(build: Builder) -> Step:
    details: Attributes = {
        "user.id": "",
        "shop.coupons": [],
        "shop.quantity": -(2**63),
        "shop.price": 1e300,
        "shop.note": "Grüße 👋 \u202eevil",
        "shop.tags": ["", " ", "ÿ"],
    }
    return _refusal(build, "POST", "/cart/items", "/cart/items", 400, "quantity is out of range", details)


_WELL_FORMED: tuple[Callable[[Builder], Step], ...] = (_browse, _view, _add_to_cart, _checkout)
_MALFORMED: tuple[Callable[[Builder], Step], ...] = (
    _not_json,
    _missing_fields,
    _no_such_product,
    _odd_method,
    _endless_query,
    _wrong_media_type,
    _odd_values,
)
