"""Scores by angle, of any number of networks."""

import pytest

from erlangen import figures

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("count", [1, 8, 18])
def test_every_network_has_its_own_curve(count):
    scores = {f"network {i}": {0.0: 0.5, 120.0: 0.6, 240.0: 0.7 + 0.01 * i} for i in range(count)}
    (axis,) = figures.angles(scores).axes
    drawn = {line.get_label(): line for line in axis.get_lines()}
    assert list(drawn) == list(scores)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == list(scores)
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn.values()}) == count
    for name, by_angle in scores.items():
        assert list(drawn[name].get_ydata()) == [*by_angle.values(), by_angle[0.0]]
