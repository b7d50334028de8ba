"""The soak test's judgement must see a leak and must not see a sawtooth."""

import random

import pytest

from tests.support.soak.trend import trend


def test_a_slow_leak_under_noise_is_seen() -> None:
    rng = random.Random(1)
    points = [(float(t), 100 + t * 0.1 + rng.uniform(-10, 10)) for t in range(300)]
    assert trend(points).growth == pytest.approx(20, abs=3)


def test_a_sawtooth_with_outliers_does_not_grow() -> None:
    points = [(float(t), 100.0 + t % 10 + (500 if t % 37 == 0 else 0)) for t in range(300)]
    assert abs(trend(points).growth) < 1


def test_what_fills_during_the_warm_up_is_not_counted() -> None:
    points = [(float(t), min(t, 90) * 10.0) for t in range(300)]
    assert trend(points).growth == pytest.approx(0, abs=1e-6)
