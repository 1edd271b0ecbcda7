"""Plans of user requests."""

from random import Random

from tidegauge.simulate.plan import Kind, Outcome, Request
from tidegauge.simulate.scenario import make_requests
from tidegauge.simulate.shop import SERVICES


def plans(seed: int = 1, count: int = 400) -> list[Request]:
    return make_requests(Random(seed), count)


def test_the_seed_alone_decides() -> None:
    assert plans(7, 50) == plans(7, 50)
    assert {request.trace_id for request in plans(7, 50)}.isdisjoint({request.trace_id for request in plans(8, 50)})


def test_every_outcome_kind_and_service_occurs() -> None:
    requests = plans()
    steps = [step for request in requests for step in request.root.walk()]
    assert {request.outcome for request in requests} == set(Outcome)
    assert {step.kind for step in steps} == set(Kind)
    assert {step.service for step in steps} == set(SERVICES)


def test_steps_lie_within_their_parents_one_after_the_other() -> None:
    for request in plans():
        for step in request.root.walk():
            now = step.start_ns
            for child in step.children:
                assert now <= child.start_ns
                now = child.end_ns
            assert now <= step.end_ns


def test_status_follows_the_http_conventions() -> None:
    for request in plans():
        for step in request.root.walk():
            status = step.attributes.get("http.response.status_code")
            if isinstance(status, int):
                failed = status >= (500 if step.kind is Kind.SERVER else 400)
                assert (step.error is not None) == failed
                assert ("error.type" in step.attributes) == failed


def test_failing_requests_hold_an_exception_and_slow_ones_take_their_time() -> None:
    for request in plans():
        events = {event.name for step in request.root.walk() for event in step.events}
        if request.outcome is Outcome.ERROR:
            assert "exception" in events
            assert request.root.attributes["http.response.status_code"] == 500
        if request.outcome is Outcome.SLOW:
            assert request.root.duration_ns > 800_000_000


def test_malformed_requests_are_refused_by_the_frontend() -> None:
    malformed = [request.root for request in plans() if request.outcome is Outcome.MALFORMED]
    assert all(400 <= int(str(root.attributes["http.response.status_code"])) < 500 for root in malformed)
    assert all(not root.children for root in malformed)
    assert any("http.route" not in root.attributes for root in malformed)
    assert any("\x00" in str(value) for root in malformed for value in root.attributes.values())


def test_an_order_is_worked_on_in_a_linked_trace() -> None:
    requests = plans()
    by_trace = {request.trace_id: request for request in requests}
    linked = [request for request in requests if request.linked]
    assert linked
    for request in linked:
        assert request.linked is not None
        trace_id, span_id = request.linked
        sender = next(step for step in by_trace[trace_id].root.walk() if step.span_id == span_id)
        assert sender.kind is Kind.PRODUCER
        assert request.root.start_ns >= sender.end_ns
