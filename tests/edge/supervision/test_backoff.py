"""Cameras are not hammered."""

from __future__ import annotations

import pytest

from edge.supervision.backoff import Backoff

MS = 1_000_000


def test_a_camera_is_tried_ever_more_rarely_and_at_once_again_after_it_was_steady() -> None:
    backoff = Backoff(250, 15_000, 30_000)
    waits = [backoff.failed(0) // MS for _ in range(9)]
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]
    backoff.opened(100_000 * MS)
    assert backoff.failed(105_000 * MS) // MS == 15_000  # lost again at once: no steady camera
    backoff.opened(200_000 * MS)
    backoff.opened(229_000 * MS)
    assert backoff.failed(230_000 * MS) // MS == 250
    with pytest.raises(ValueError, match="first_ms"):
        Backoff(10, 5)
