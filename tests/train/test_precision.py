"""bfloat16 where the processor multiplies it, if asked; what was chosen stays, and sums stay in float32."""

import re

import pytest
import torch

import erlangen as er
from erlangen.train import device, fit, prepare
from erlangen.train.settings import Settings

SMALL = {"width": 2, "depth": 1, "size": 48, "crop": 32, "batch": 2, "seed": 4, "steps": 4, "looks": 1}
AUTO = SMALL | {"amp": "auto"}


@pytest.fixture
def processor(monkeypatch):
    """Makes the processor have some of the instructions, and no others."""

    def having(*names):
        for name, asked in device.BFLOAT16.items():
            monkeypatch.setattr(torch.cpu, asked, lambda has=name in names: has)

    return having


@pytest.mark.parametrize(
    ("has", "chosen", "why"),
    [
        ((), False, "no instructions for bfloat16"),
        (("AVX512-BF16",), True, r"multiplies it \(AVX512-BF16\)"),
        (("AMX", "AVX512-BF16"), True, r"multiplies it \(AMX\)"),
    ],
    ids=str,
)
def test_the_processor_decides_unless_one_says(scenes, processor, has, chosen, why):
    processor(*has)
    training = prepare(scenes, Settings().changed(**AUTO))
    assert training.gradient.amp is training.resolved.amp is chosen
    assert re.search(why, training.facts()["precision"])
    for said in (True, False):
        training = prepare(scenes, Settings().changed(amp=said, **SMALL))
        assert training.gradient.amp is said
        assert training.precision.endswith("as asked for")


def test_gpus_are_left_in_float32_unless_one_says(processor):
    processor("AMX")
    assert device.precision("auto", torch.device("cuda"))[0] is False
    assert device.precision(True, torch.device("cuda"))[0] is True


def test_what_was_chosen_stays_where_a_training_goes_on(scenes, processor, tmp_path):
    """As another machine would choose differently."""

    def interrupt(step):
        if step.step == 2:
            raise KeyboardInterrupt

    processor("AMX")
    whole = fit(scenes, **AUTO)
    with pytest.raises(KeyboardInterrupt):
        fit(scenes, out=tmp_path, progress=interrupt, **AUTO)
    processor()
    other = fit(scenes, **AUTO)
    resumed = fit(scenes, out=tmp_path, resume=True, **AUTO)
    assert (whole.settings.amp, resumed.settings.amp, other.settings.amp) == (True, True, False)
    weights = [run.model.state_dict() for run in (whole, resumed, other)]
    assert all(torch.equal(t, weights[1][name]) for name, t in weights[0].items())
    assert not all(torch.equal(t, weights[2][name]) for name, t in weights[0].items())


def test_another_precision_is_refused_where_one_asks_for_it(scenes, tmp_path):
    fit(scenes, out=tmp_path, amp=False, **SMALL)
    with pytest.raises(ValueError, match=r"other settings \(amp\)"):
        fit(scenes, out=tmp_path, resume=True, amp=True, **SMALL)


def test_settings_of_before_say_the_same(processor):
    processor("AMX")
    before = Settings().facts() | {"amp": False}
    assert Settings.of(before).amp is False
    assert Settings.of({name: value for name, value in before.items() if name != "amp"}).amp is False


def test_statistics_losses_and_weights_are_in_float32(scenes):
    training = prepare(scenes, Settings().changed(amp=True, **SMALL))
    seen = {}
    training.loss.register_forward_pre_hook(lambda _, inputs: seen.update(loss=inputs[0].dtype))
    conv = next(m for m in training.model.modules() if isinstance(m, er.nn.Correlation))
    conv.register_forward_hook(lambda *_: seen.update(layer=_[2].dtype))
    training.advance()
    assert seen == {"loss": torch.float32, "layer": torch.bfloat16}
    state = training.model.state_dict().values()
    assert {t.dtype for t in state if t.is_floating_point()} == {torch.float32}
    assert {p.grad.dtype for p in training.model.parameters()} == {torch.float32}
