import pytest

from erlangen.train import fit, generate


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder of 8 small drawn photographs with masks."""
    folder = tmp_path_factory.mktemp("scenes")
    generate(folder, 8, size=48, seed=3)
    return folder


@pytest.fixture(scope="session")
def run(scenes):
    """A network after 20 steps."""
    return fit(scenes, steps=20, width=2, depth=2, size=48, crop=32, batch=4, seed=1)
