"""The surface: names stay, importing is quiet and quick."""

import json
import os
import subprocess
import sys
import time

import torch
from paths import ROOT

import erlangen as er

MODULES = ("groups", "harmonics", "kernels", "nn", "models", "verify", "figures", "train")


def surface() -> dict[str, list[str]]:
    names = {"erlangen": sorted(er.__all__)}
    for module in MODULES:
        names[f"erlangen.{module}"] = sorted(getattr(er, module).__all__)
    return names


def test_public_names_are_the_recorded_ones():
    recorded = json.loads((ROOT / "tests" / "api_surface.json").read_text())
    assert surface() == recorded, "changed on purpose? run: python tests/test_api.py"
    assert set(er.__all__) <= set(dir(er)), "those that are imported at their first use too"


def test_import_is_quiet_and_needs_no_extras():
    code = (
        "import sys; import erlangen;"
        "extras = {'matplotlib', 'rich', 'tyro', 'torchmetrics', 'PIL', 'safetensors', 'scipy'};"
        "print(sorted(extras & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


def test_import_is_quick(tmp_path):
    """As it is where it was installed, compiled to bytecode once; in processor time, whatever runs beside."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    code = (
        "import time, torch, numpy; start = time.process_time(); import erlangen;"
        "print(time.process_time() - start)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env).stdout)
        for _ in range(4)
    ]
    assert min(times) <= 0.3


def test_the_default_network_is_built_at_once():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several count while they wait for each other
    try:
        er.models.UNet(er.Plane(rotations=8), 3, 1)  # the first one warms torch up
        start = time.process_time()
        er.models.UNet(er.Plane(rotations=8), 3, 1)
        assert time.process_time() - start <= 0.5
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    text = json.dumps(surface(), indent=2) + "\n"
    (ROOT / "tests" / "api_surface.json").write_text(text)
