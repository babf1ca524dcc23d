"""A training step on a GPU, recorded as one CUDA graph and launched kernel by kernel, as `er.fit` takes it.

python experiments/speed/gpu.py          writes gpu.json; all steps in one process, interleaved, median
"""

import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from records import interleaved, keep

import erlangen as er
from erlangen.train import Loss, Predictor, Settings, Task
from erlangen.train.fit import default_network
from erlangen.train.gradient import WARM, Gradient
from erlangen.train.plain import PlainUNet

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
NETWORKS = {
    "plain U-Net of width 16": lambda: PlainUNet(width=16),
    "one block of width 6": lambda: default_network(Task(), Settings().changed(width=6, blocks=1)),
    "train's default network": lambda: default_network(Task(), Settings()),
    "UNet's default": lambda: er.models.UNet(er.Plane(rotations=8), 3, 1),
}


def main() -> None:
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    steps = {
        f"{name}, {dtype}, {how}": Step(network, dtype == "bfloat16", how == "recorded")
        for name, network in NETWORKS.items()
        for dtype in ("float32", "bfloat16")
        for how in ("launched", "recorded")
    }
    for one in steps.values():
        for _ in range(WARM + 1):
            one()
    unlike = [name for name, one in steps.items() if name.endswith("recorded") == (not one.gradient.recorded)]
    if unlike:
        raise RuntimeError(f"{', '.join(unlike)}: not as it says, expected to be recorded, or not")
    result = {
        "milliseconds": {
            name: 1000 * s for name, s in interleaved(steps, CONFIG["repeats"], time.perf_counter).items()
        },
        "shape": [CONFIG["step"]["batch"], 3, CONFIG["step"]["size"], CONFIG["step"]["size"]],
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
    }
    keep(HERE / "gpu.json", result)
    print(json.dumps(result, indent=1))


class Launched(Gradient):
    """Kernel by kernel."""

    recordable = False


class Step:
    """A gradient and AdamW, on one batch that comes from the CPU each time."""

    def __init__(self, network, amp: bool, recorded: bool) -> None:
        model = Predictor(network()).cuda().train()
        self.gradient = (Gradient if recorded else Launched)(model, Loss(model.task).cuda(), amp)
        self.optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        batch, size = CONFIG["step"]["batch"], CONFIG["step"]["size"]
        self.image = torch.rand(batch, 3, size, size)
        self.truth = (torch.rand(batch, size, size) > 0.9).to(torch.uint8)

    def __call__(self) -> None:
        self.gradient(self.image, self.truth)
        self.optimizer.step()
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
