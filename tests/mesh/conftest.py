import pytest
import torch


@pytest.fixture
def double():
    """Double precision, and the same numbers at random."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)
