"""Training and prediction on a GPU go as on the CPU."""

import copy

import pytest
import torch

import erlangen as er

DEVICE = "cuda"
SMALL = {"width": 2, "depth": 2, "size": 48, "crop": 32, "batch": 2, "seed": 4, "steps": 12}
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.usefixtures("in_full_precision"),
]


@pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
def test_training_goes_as_on_the_cpu(scenes, amp):
    here = er.fit(scenes, **SMALL)
    there = er.fit(scenes, device=DEVICE, amp=amp, **SMALL)
    for one, other in zip(here.history, there.history, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=0.1 if amp else 1e-2)


@pytest.mark.filterwarnings("ignore")
def test_a_stopped_training_goes_on_there(scenes, tmp_path):
    def interrupt(step):
        if step.step == 5 and step.score is None:
            raise KeyboardInterrupt

    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        whole = er.fit(scenes, device=DEVICE, **SMALL)
        with pytest.raises(KeyboardInterrupt):
            er.fit(scenes, device=DEVICE, out=tmp_path, progress=interrupt, **SMALL)
        resumed = er.fit(scenes, device=DEVICE, out=tmp_path, resume=True, **SMALL)
    finally:
        torch.use_deterministic_algorithms(False)
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_it_predicts_in_tiles_and_scores_angles_there(run, scenes):
    x = er.train.example(97)
    model = copy.deepcopy(run.model)
    here = er.predict(model, x)
    scores = er.train.score_by_angle(model, run.held_out, [0, 45])
    model = model.to(DEVICE)
    there = er.predict(model, x, tile=40)
    torch.testing.assert_close(there[0], here[0], rtol=0, atol=1e-4)
    assert er.train.score_by_angle(model, run.held_out, [0, 45]) == pytest.approx(scores, abs=0.01)
