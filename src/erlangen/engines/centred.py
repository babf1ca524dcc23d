"""Where the samples of a coarser grid lie, so that both grids have one centre."""


def centred(length: int, stride: int) -> tuple[int, int]:
    r"""The coarser grid of every stride-th sample, placed symmetrically about the centre.

    ``m = ceil(length / stride)`` samples at ``x_i = (length - 1) / 2 + stride (i - (m - 1) / 2)``, whatever
    the parity of the length: that is what makes strides commute with turns at every size. The
    first sample lies at ``x_0``, an integer or a half of one.

    Returns:
        m, and 2 x_0.
    """
    m = -(-length // stride)
    return m, (length - 1) - stride * (m - 1)
