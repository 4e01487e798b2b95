"""Drift triggers. Every expected weight is worked out by hand; binary fractions are exact."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from helpers import bars_of, day
from ml4t.backtest import Broker, TargetWeightExecutor
from ml4t.backtest.execution.triggers import DriftTrigger

HALVES = {"A": 0.5, "B": 0.5}
#: Drift of A 1/8, of B -1/8; tracking distance 1/8.
DRIFTED = {"A": 0.625, "B": 0.375}


@pytest.mark.parametrize(
    ("trigger", "fires"),
    [
        (DriftTrigger(absolute=0.12), True),
        (DriftTrigger(absolute=0.125), False),  # exactly at the band is not over it
        (DriftTrigger(relative=0.24), True),  # a band of 0.12
        (DriftTrigger(relative=0.25), False),
        (DriftTrigger(distance=0.12), True),
        (DriftTrigger(distance=0.125), False),
        (DriftTrigger(absolute=0.2, relative=0.24), True),  # the narrower band counts
        (DriftTrigger(absolute=0.12, relative=0.9), True),
        (DriftTrigger(absolute=0.2, relative=0.9, distance=0.12), True),
        (DriftTrigger(absolute=0.2, relative=0.9, distance=0.2), False),
    ],
)
def test_it_fires_over_a_band(trigger: DriftTrigger, fires: bool) -> None:
    assert trigger.weights_to_send(HALVES, DRIFTED) == (HALVES if fires else None)


def test_one_asset_is_enough_but_not_for_the_distance() -> None:
    targets = {"A": 0.5, "B": 0.25, "C": 0.25}
    effective = {"A": 0.5, "B": 0.375, "C": 0.25}  # B was bought with cash: distance 1/16
    assert DriftTrigger(absolute=0.1).weights_to_send(targets, effective) == targets
    assert DriftTrigger(distance=0.07).weights_to_send(targets, effective) is None
    assert DriftTrigger(distance=0.06).weights_to_send(targets, effective) == targets


def test_a_relative_band_of_a_short_is_as_wide_as_that_of_a_long() -> None:
    targets = {"A": -0.5}
    trigger = DriftTrigger(relative=0.25)
    assert trigger.weights_to_send(targets, {"A": -0.6}) is None
    assert trigger.weights_to_send(targets, {"A": -0.7}) == targets
    edge = DriftTrigger(relative=0.25, trade_to="edge")
    assert edge.weights_to_send(targets, {"A": -0.75}) == {"A": -0.625}


def test_what_should_be_there_and_is_not_has_drifted() -> None:
    trigger = DriftTrigger(absolute=0.3)
    assert trigger.weights_to_send(HALVES, {"A": 0.5}) == HALVES
    assert trigger.weights_to_send({"A": 0.25}, {"A": 0.25, "B": 0.5}) == {"A": 0.25}


def test_float_noise_is_no_drift() -> None:
    # 0.1 + 0.2 is 0.30000000000000004.
    assert DriftTrigger(relative=1e-15).weights_to_send({"A": 0.3}, {"A": 0.1 + 0.2}) is None


class TestEdge:
    def test_only_what_is_outside_moves(self) -> None:
        targets = {"A": 0.5, "B": 0.25, "C": 0.25}
        effective = {"A": 0.75, "B": 0.125, "C": 0.1875}  # drifts 1/4, -1/8, -1/16
        trigger = DriftTrigger(absolute=0.0625, trade_to="edge")
        # A down to 0.5 + 1/16, B up to 0.25 - 1/16, C is at its edge.
        expected = {"A": 0.5625, "B": 0.1875, "C": 0.1875}
        assert trigger.weights_to_send(targets, effective) == expected

    def test_each_asset_has_its_own_relative_edge(self) -> None:
        targets = {"A": 0.5, "B": 0.25}
        effective = {"A": 0.75, "B": 0.0}
        trigger = DriftTrigger(relative=0.25, trade_to="edge")
        assert trigger.weights_to_send(targets, effective) == {"A": 0.625, "B": 0.1875}

    def test_the_distance_is_shrunk_in_the_same_direction(self) -> None:
        # Distance 1/8 to 1/16: half of each drift stays.
        trigger = DriftTrigger(distance=0.0625, trade_to="edge")
        assert trigger.weights_to_send(HALVES, DRIFTED) == {"A": 0.5625, "B": 0.4375}

    def test_bands_first_then_the_distance(self) -> None:
        # Drifts 1/4 and -1/8 are cut to 1/8 and -1/8, whose distance 1/8 is then halved.
        trigger = DriftTrigger(absolute=0.125, distance=0.0625, trade_to="edge")
        assert trigger.weights_to_send(HALVES, {"A": 0.75, "B": 0.375}) == {
            "A": 0.5625,
            "B": 0.4375,
        }

    def test_nothing_moves_to_an_edge_that_is_not_exceeded(self) -> None:
        # The distance fires; the absolute band alone would leave both where they are.
        trigger = DriftTrigger(absolute=0.25, distance=0.0625, trade_to="edge")
        assert trigger.weights_to_send(HALVES, DRIFTED) == {"A": 0.5625, "B": 0.4375}

    def test_an_exit_is_an_exit(self) -> None:
        trigger = DriftTrigger(absolute=0.0625, trade_to="edge")
        found = trigger.weights_to_send({"A": 0.5, "C": 0.0}, {"A": 0.5, "B": 0.25, "C": 0.25})
        assert found == {"A": 0.5, "B": 0.0, "C": 0.0}

    def test_the_weights_at_the_edge_do_not_fire_again(self) -> None:
        for bands in ({"absolute": 0.03}, {"relative": 0.07}, {"distance": 0.011}):
            trigger = DriftTrigger(**bands, trade_to="edge")
            targets = {"A": 0.3, "B": 0.6, "C": 0.1}
            sent = trigger.weights_to_send(targets, {"A": 0.41, "B": 0.52, "C": 0.07})
            assert sent is not None
            assert trigger.weights_to_send(targets, sent) is None


class TestWhatDoesNotCount:
    def test_an_asset_that_cannot_be_traded(self) -> None:
        effective = {"A": 0.5, "B": 0.0}
        for trigger in (DriftTrigger(absolute=0.1), DriftTrigger(distance=0.1)):
            assert trigger.weights_to_send(HALVES, effective) == HALVES
            assert trigger.weights_to_send(HALVES, effective, tradable={"A"}) is None
            assert trigger.weights_to_send(HALVES, effective, tradable={"B"}) == HALVES

    def test_it_gets_its_target_at_the_edge(self) -> None:
        trigger = DriftTrigger(absolute=0.0625, trade_to="edge")
        found = trigger.weights_to_send(HALVES, {"A": 0.75, "B": 0.0}, tradable=["A"])
        assert found == {"A": 0.5625, "B": 0.5}

    def test_an_account_without_equity(self) -> None:
        unknown = {"A": nan, "B": nan}
        for bands in ({"absolute": 0.01}, {"relative": 0.01}, {"distance": 0.01}):
            assert DriftTrigger(**bands).weights_to_send(HALVES, unknown) is None


@pytest.mark.parametrize(
    ("combine", "decides", "is_far", "sends"),
    [
        ("or", False, False, False),
        ("or", False, True, True),
        ("or", True, False, True),
        ("or", True, True, True),
        ("and", False, False, False),
        ("and", False, True, False),
        ("and", True, False, False),
        ("and", True, True, True),
    ],
)
def test_with_a_schedule(combine: str, decides: bool, is_far: bool, sends: bool) -> None:
    trigger = DriftTrigger(absolute=0.1, combine=combine)
    effective = DRIFTED if is_far else HALVES
    found = trigger.weights_to_send(HALVES, effective, decides)
    assert found == (HALVES if sends else None)


def test_a_decision_of_the_schedule_goes_to_the_target_and_not_to_the_edge() -> None:
    trigger = DriftTrigger(absolute=0.0625, trade_to="edge")
    assert trigger.weights_to_send(HALVES, DRIFTED, decides=True) == HALVES
    assert trigger.weights_to_send(HALVES, DRIFTED) == {"A": 0.5625, "B": 0.4375}


def test_arguments_are_left_alone() -> None:
    targets, effective = dict(HALVES), dict(DRIFTED)
    found = DriftTrigger(absolute=0.1).weights_to_send(targets, effective)
    assert found is not None
    found["A"] = 0.0
    assert (targets, effective) == (HALVES, DRIFTED)


def test_working_orders_do_not_fire_it_again() -> None:
    broker = Broker(initial_cash=100_000.0)
    executor = TargetWeightExecutor()
    trigger = DriftTrigger(absolute=0.05)
    data = bars_of(A=100.0, B=100.0)
    broker.step(day(0), data)

    def ask() -> dict[str, float] | None:
        return trigger.weights_to_send(HALVES, executor.effective_weights(data, broker))

    assert ask() == HALVES
    executor.execute(HALVES, data, broker)
    assert ask() is None  # 500 of each are on their way
    assert executor.current_weights(data, broker) == {}
    broker.step(day(1), data)
    assert ask() is None  # and have come
    # A at 150: 75 000 of 125 000 is 0.6, B 0.4; both over 0.05 away.
    data = bars_of(A=150.0, B=100.0)
    broker.step(day(2), data)
    assert ask() == HALVES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "there is no band; pass absolute="),
        ({"absolute": 0.0}, r"absolute=0.0 must be a finite number above 0"),
        ({"relative": -0.1}, "relative=-0.1 must be"),
        ({"distance": nan}, "distance=nan must be"),
        ({"absolute": True}, "absolute=True must be"),
        ({"absolute": "5%"}, "absolute='5%' must be"),
        ({"absolute": 10**400}, "absolute=.* must be"),
        ({"absolute": 0.1, "trade_to": "egde"}, r"trade_to='egde' is unknown \(nearest: 'edge'\)"),
        ({"absolute": 0.1, "trade_to": None}, 'use "target" or "edge"'),
        ({"absolute": 0.1, "combine": "xor"}, "combine='xor' is unknown"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DriftTrigger(**settings)
