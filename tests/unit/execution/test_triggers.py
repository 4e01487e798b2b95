"""Drift triggers. Every expected weight is worked out by hand; binary fractions are exact."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from helpers import bars_of, day
from ml4t.backtest import Broker, RebalanceConfig, TargetWeightExecutor
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
        effective = {"A": 0.6875, "B": 0.125, "C": 0.1875}  # drifts 3/16, -1/8, -1/16
        trigger = DriftTrigger(absolute=0.125, trade_to="edge")
        # A down to 0.5 + 1/8, which is less than B and C could keep, 3/16: two thirds of their own.
        found = trigger.weights_to_send(targets, effective)
        third = 0.125 / 3
        assert found == pytest.approx({"A": 0.625, "B": 0.25 - 2 * third, "C": 0.25 - third})
        # Drifts 3/16, -1/8, -1/16 again; all that B and C may keep, A may keep too.
        wide = DriftTrigger(absolute=0.1875, distance=0.1, trade_to="edge")
        found = wide.weights_to_send(targets, effective)
        assert found == pytest.approx({"A": 0.6, "B": 0.25 - 0.2 / 3, "C": 0.25 - 0.1 / 3})

    def test_what_it_lacks_is_taken_from_those_that_drifted_the_other_way(self) -> None:
        targets = {"A": 0.4, "B": 0.3, "C": 0.2, "D": 0.1}
        trigger = DriftTrigger(absolute=0.05, trade_to="edge")
        # Drifts -0.08, 0.05, 0.03, 0: A lacks 0.05 at its edge, of 0.08 that B and C have gained.
        found = trigger.weights_to_send(targets, {"A": 0.32, "B": 0.35, "C": 0.23, "D": 0.1})
        expected = {"A": 0.35, "B": 0.3 + 0.05 * 5 / 8, "C": 0.2 + 0.03 * 5 / 8, "D": 0.1}
        assert found == pytest.approx(expected, abs=1e-15)
        assert sum(found.values()) == pytest.approx(1.0, abs=1e-15)

    def test_what_it_has_too_much_is_given_to_them(self) -> None:
        targets = {"A": 0.4, "B": 0.3, "C": 0.3}
        trigger = DriftTrigger(absolute=0.05, trade_to="edge")
        # Drifts 0.08, -0.04, -0.04: A may keep 0.05, so B and C lack 0.025 each.
        found = trigger.weights_to_send(targets, {"A": 0.48, "B": 0.26, "C": 0.26})
        assert found == pytest.approx({"A": 0.45, "B": 0.275, "C": 0.275}, abs=1e-15)

    def test_planned_cash_is_the_other_asset(self) -> None:
        trigger = DriftTrigger(absolute=0.0625, trade_to="edge")
        # A has gained 1/8, cash has lost it; each may keep 1/16.
        assert trigger.weights_to_send({"A": 0.5}, {"A": 0.625}) == {"A": 0.5625}
        # Cash of 1/32 may lose 1/32.
        targets = {"A": 0.96875}
        assert trigger.weights_to_send(targets, {"A": 1.0625}) == {"A": 1.0}
        # Without planned cash there is none to give or to take.
        assert trigger.weights_to_send({"A": 1.0}, {"A": 0.875}) == {"A": 1.0}
        # A fifth of 1/4 in cash may stay, and of A a fifth of 3/4.
        relative = DriftTrigger(relative=0.2, trade_to="edge")
        assert relative.weights_to_send({"A": 0.75}, {"A": 0.9375}) == {"A": pytest.approx(0.8)}

    def test_each_asset_has_its_own_relative_edge(self) -> None:
        targets = {"A": 0.5, "B": 0.25, "C": 0.25}
        effective = {"A": 0.75, "B": 0.125, "C": 0.125}
        trigger = DriftTrigger(relative=0.25, trade_to="edge")
        # Edges at 1/8, 1/16 and 1/16 from the targets.
        expected = {"A": 0.625, "B": 0.1875, "C": 0.1875}
        assert trigger.weights_to_send(targets, effective) == expected

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
        # What A keeps too much nobody else could lack.
        found = trigger.weights_to_send(HALVES, {"A": 0.75, "B": 0.0}, tradable=["A"])
        assert found == HALVES

    def test_an_account_without_equity(self) -> None:
        unknown = {"A": nan, "B": nan}
        for bands in ({"absolute": 0.01}, {"relative": 0.01}, {"distance": 0.01}):
            assert DriftTrigger(**bands).weights_to_send(HALVES, unknown) is None


def frictionless(**rules: Any) -> RebalanceConfig:
    return RebalanceConfig(
        **{"allow_fractional": True, "min_trade_value": 0.0, "min_weight_change": 0.0, **rules}
    )


class TestRules:
    """Drift is measured from what a plan makes of the targets."""

    @pytest.mark.parametrize(
        ("targets", "rules", "adjusted"),
        [
            ({"A": 0.5, "B": 0.1}, {"max_single_weight": 0.3}, {"A": 0.3, "B": 0.1}),
            # Factors 1 / 1.2, 0.8 / 1 and 1 / 1.5
            ({"A": 0.6, "B": 0.6}, {}, {"A": 0.5, "B": 0.5}),
            ({"A": 0.75, "B": 0.25}, {"max_net_exposure": 0.8}, {"A": 0.6, "B": 0.2}),
            (
                {"A": 0.9, "B": -0.6},
                {"allow_short": True, "max_gross_exposure": 1.0},
                {"A": 0.6, "B": -0.4},
            ),
            ({"A": 0.5, "B": -0.3}, {}, {"A": 0.5, "B": 0.0}),
        ],
    )
    def test_what_was_adjusted_has_not_drifted(
        self, targets: dict[str, float], rules: dict[str, Any], adjusted: dict[str, float]
    ) -> None:
        config = frictionless(**rules)
        for trade_to in ("target", "edge"):
            trigger = DriftTrigger(absolute=0.05, trade_to=trade_to)
            assert trigger.weights_to_send(targets, adjusted, rules=config) is None
            off = {**adjusted, "A": adjusted["A"] - 0.06}
            assert trigger.weights_to_send(targets, off, rules=config) is not None
        # What is sent is what was asked for: the plan adjusts it, and says so.
        sent = DriftTrigger(absolute=0.05).weights_to_send(targets, {}, rules=config)
        assert sent == targets

    def test_a_cap_is_an_edge(self) -> None:
        config = frictionless(max_single_weight=0.5)
        trigger = DriftTrigger(absolute=0.05, trade_to="edge")
        targets = {"A": 0.5, "B": 0.25, "C": 0.25}
        # Drifts 0.03, 0.03, -0.06. A cannot keep its own, since the plan would cut it; B can, so
        # that C may lack 0.03.
        found = trigger.weights_to_send(targets, {"A": 0.53, "B": 0.28, "C": 0.19}, rules=config)
        assert found == pytest.approx({"A": 0.5, "B": 0.28, "C": 0.22}, abs=1e-15)

    def test_what_may_be_invested_is_an_edge(self) -> None:
        config = frictionless(max_net_exposure=0.75)
        trigger = DriftTrigger(absolute=0.0625, trade_to="edge")
        # Sum 7/8; the plan would scale whatever is above 3/4.
        found = trigger.weights_to_send({"A": 0.5, "B": 0.25}, {"A": 0.625, "B": 0.25}, False)
        assert found == {"A": 0.5625, "B": 0.25}
        found = trigger.weights_to_send(
            {"A": 0.5, "B": 0.25}, {"A": 0.625, "B": 0.25}, rules=config
        )
        assert found == {"A": 0.5, "B": 0.25}

    def test_gross_exposure_is_an_edge(self) -> None:
        config = frictionless(allow_short=True, max_single_weight=2.0, max_gross_exposure=1.75)
        trigger = DriftTrigger(absolute=0.25, trade_to="edge")
        # Drifts 1/2 and -1/2 to 1/4 and -1/4, gross 1.5 + 0.5; half of it is 1.75.
        found = trigger.weights_to_send({"A": 1.25, "B": -0.25}, {"A": 1.75, "B": -0.75})
        assert found == {"A": 1.5, "B": -0.5}
        found = trigger.weights_to_send(
            {"A": 1.25, "B": -0.25}, {"A": 1.75, "B": -0.75}, rules=config
        )
        assert found == {"A": 1.375, "B": -0.375}

    def test_what_is_held_back_has_not_drifted(self) -> None:
        trigger = DriftTrigger(absolute=0.05)
        effective = {"A": 0.5, "B": 0.5}
        assert trigger.weights_to_send({"A": 0.5}, effective) == {"A": 0.5}
        held_back = frictionless(unmentioned="hold")
        assert trigger.weights_to_send({"A": 0.5}, effective, rules=held_back) is None


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
