"""The points that are left to evaluate: those of fronts, once each, as far as they are not there."""

from __future__ import annotations

from collections.abc import Callable

from fpray.records import Record
from fpray.search import Wait
from fpray.sweep.points import Points
from tests.report.test_curves import SWEEP, counts, records

WANTED = ["full-001-s0-alpha-0.5", "full-001-s1-alpha-0.5", "full-000-s0-alpha-0.5", "full-000-s1-alpha-0.5"]


def finished(record: Record) -> Record:
    return record.begun(0).finished(results=counts("test", 1, 1))


def asked(points: Points) -> list[Record]:
    found = []
    while isinstance(record := points.ask(), Record):
        found.append(record)
    assert record is Wait.NOTHING_LEFT
    return found


def test_points_of_fronts_are_asked_for_once_and_no_trial_itself(record_of: Callable[..., Record]) -> None:
    points = Points(SWEEP, records(record_of), [])
    assert (points.planned, points.complete, points.wanted()) == (4, False, [])
    assert points.ask(lambda method: False) is Wait.FOR_ROOM
    found = asked(points)
    assert [record.trial.id for record in found] == WANTED
    assert {(r.trial.method, r.trial.params["alpha"]) for r in found} == {("full", 0.5)}
    assert found[0].trial.sources == ("full-001-s0",)
    for record in found:
        assert not points.complete
        points.tell(finished(record))
    assert points.complete and len(points.wanted()) == 4


def test_those_that_are_there_are_not_asked_for_and_those_begun_go_on(record_of: Callable[..., Record]) -> None:
    first, second, *_ = asked(Points(SWEEP, records(record_of), []))
    of_a_front_before = first.model_copy(update={"trial": record_of("full-009").trial.point(0.5)})
    points = Points(SWEEP, records(record_of), [finished(first), second.begun(0), finished(of_a_front_before)])
    expected = [(WANTED[1], 1), (WANTED[2], 0), (WANTED[3], 0)]
    assert [(record.trial.id, record.attempt) for record in asked(points)] == expected


def test_an_attempt_that_failed_is_tried_again_and_a_failed_point_is_not(record_of: Callable[..., Record]) -> None:
    points = Points(SWEEP, records(record_of), [])
    first, second, third, fourth = asked(points)
    points.tell(first.begun(0).attempt_failed(1))
    points.tell(second.begun(0).failed("no"))
    again = points.ask()
    assert isinstance(again, Record) and (again.trial.id, again.failures) == (WANTED[0], 1)
    assert points.ask() is Wait.NOTHING_LEFT
    for record in (again, third, fourth):
        points.tell(finished(record))
    assert points.complete


def test_without_curves_there_are_none(record_of: Callable[..., Record]) -> None:
    bare = [record.model_copy(update={"curve": ()}) for record in records(record_of)]
    assert Points(SWEEP, bare, []).complete
