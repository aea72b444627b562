"""Runs of these tests are of a few steps. Without this, their sheets of samples would take longer than the training."""

from collections.abc import Iterator

import pytest

from noisette.training import sample_sheets


@pytest.fixture(scope="module", autouse=True)
def _sheets_of_few_steps() -> Iterator[None]:
    """In this process. Runs by the command line draw theirs as they always do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_sheets, "STEPS", 2)
        yield
