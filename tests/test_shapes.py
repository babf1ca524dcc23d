"""The shapes that annotations promise, checked at run time, in a process of its own."""

import subprocess
import sys

from paths import ROOT

CODE = """
import sys
from jaxtyping import install_import_hook

sys.path[:0] = ["tests", "tests/nn"]
with install_import_hook("erlangen", "typed.check"):
    import erlangen as er
    import erlangen.train
import torch

from spaces import DOMAINS, field_shape
from test_contract import LAYERS

for name, (build, shape, _) in LAYERS.items():
    build()(torch.randn(2, *shape, requires_grad=True)).sum().backward()
for name, build in DOMAINS.items():
    domain = build()
    f = torch.randn(2, *field_shape(domain, "scalar")).double()
    kernel = er.kernels.symmetrize(lambda v: torch.exp(-v.square().sum(-1)), domain.geometry.structure, 6)
    er.correlate(domain, kernel, f, radius=1.0)
torch.manual_seed(0)
plane = er.Plane(rotations=8)
net, x = er.models.UNet(plane, 3, 1, 2, 1), er.train.example(24)
er.verify.equivariance(er.verify.randomized(net, x), x, plane, layers=True, show=False)
er.predict(er.train.Predictor(net), x)
er.train.Loss(er.train.Task())(net(x), torch.zeros(1, 24, 24, dtype=torch.uint8)).backward()
print(len(LAYERS), len(DOMAINS))
"""


def test_annotations_are_true():
    run = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    layers, domains = (int(count) for count in run.stdout.split())
    assert layers > 30
    assert domains > 15
