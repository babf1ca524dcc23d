"""The networks that have a name, `--preset fast` and `--preset exact`."""

from dataclasses import replace

import pytest
import torch

import erlangen as er
from erlangen.commands import commands
from erlangen.models import Options
from erlangen.nn import LowPass
from erlangen.train import Predictor, Settings, Task, prepare
from erlangen.train.fit import default_network
from erlangen.train.plain import PlainUNet
from erlangen.train.settings import PRESETS

FAST, EXACT = PRESETS["fast"], PRESETS["exact"]


def settings_of(arguments: str) -> Settings:
    """What the command line takes."""
    import tyro

    told = ["train", "photos", *arguments.split()]
    return tyro.extras.subcommand_cli_from_dict(commands(told), args=told).settings


def test_a_preset_names_all_options_and_others_change_it():
    assert Settings().network == FAST
    exact = Settings().changed(width=7, recompute=True).changed(preset="exact", depth=2)
    assert exact.network == Options(**vars(EXACT) | {"depth": 2})
    assert exact.changed(preset="fast", lr=0.5) == Settings(lr=0.5)


def test_masks_want_more_pixels_and_turned_pairs():
    dense, whole = Task(), Task(("a", "b", "c"), dense=False)
    for task, size, consistency in ((dense, 512, 1.0), (whole, 256, 0.0)):
        filled = Settings().for_task(task)
        assert (filled.size, filled.consistency) == (size, consistency)
        told = Settings(size=300, consistency=0.5).for_task(task)
        assert (told.size, told.consistency) == (300, 0.5)
        assert Settings(consistency=0.0, batch=1).for_task(task).consistency == 0
    assert Settings(batch=1).for_task(dense).consistency == 0  # which shows no crop twice
    assert Settings(rotations=1).for_task(dense).consistency == 0  # up is to matter
    assert Settings(rotations=0).for_task(dense).consistency == 1


def test_a_network_of_ones_own_is_not_asked_to_turn(scenes):
    settings = Settings(steps=1, crop=16, size=32, batch=2)
    for net, consistency in ((None, 1.0), (PlainUNet(width=2), 0.0)):
        assert prepare(scenes, settings, net=net).settings.consistency == consistency
    asked = prepare(scenes, replace(settings, consistency=0.5), net=PlainUNet(width=2))
    assert asked.settings.consistency == asked.loss.consistency == 0.5


@pytest.mark.parametrize("told", ["--preset exact", "--preset=exact", "--minutes 3 --preset exact"])
def test_the_command_line_takes_a_preset(told):
    assert settings_of(told).network == EXACT
    changed = settings_of(f"{told} --kernel-size 3")
    assert changed.network == Settings().changed(preset="exact", kernel_size=3).network
    assert settings_of("--preset fast " + told).network == settings_of(told).network  # the last one counts
    assert settings_of("").network == settings_of("--preset fast").network == FAST


def test_what_is_no_preset_is_refused(capsys):
    with pytest.raises(ValueError, match="preset is 'slow', expected"):
        Settings().changed(preset="slow")
    with pytest.raises(SystemExit):
        settings_of("--preset slow")
    assert "exact" in capsys.readouterr().err


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("rotations", "reflections", "dense"),
    [(8, False, True), (4, True, False), (6, False, True), (1, False, False), (0, False, True)],
)
def test_presets_on_every_group(preset, rotations, reflections, dense, tmp_path):
    """Quarter turns and flips that lie in the group are exact at odd sizes; the network is saved whole."""
    settings = Settings().changed(preset=preset, rotations=rotations, reflections=reflections, depth=1)
    task = Task() if dense else Task(("a", "b", "c"), dense=False)
    torch.manual_seed(0)
    net = default_network(task, settings).double().eval()
    x = er.train.example(64)[..., :51].double()
    plane, net = settings.domain, er.verify.randomized(net, x)
    if exact := [element for element in plane.symmetries() if element.is_exact]:
        report = er.verify.equivariance(net, x, plane, exact, gradients=False, show=False)
        assert all(row.output < 1e-12 for row in report.rows)
    assert bool(exact) == (rotations != 1)
    assert any(isinstance(part, LowPass) for part in net.modules()) == (preset == "exact")
    model = Predictor(net.float(), task=task, size=32).eval()
    er.save(model, tmp_path)
    assert torch.equal(er.load(tmp_path)(x.float()), model(x.float()))


def test_settings_of_before_keep_their_network():
    """What a stopped training stored names all options that there were, and gets none of a preset's."""
    before = {"blocks": 2, "kernel_size": 3, "separable": False, "oversampling": 1, "width": 5, "depth": 3}
    network = Settings.of({**before, "nonlinearity": "relu", "steps": 3}).network
    assert (network.taps, network.nonlinearity, network.low_pass) == ("rings", "relu", False)
    assert Settings.of({**before, "steps": 3, "size": 256}).for_task(Task()).consistency == 0
