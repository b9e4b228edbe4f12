"""What several files begin with; ``settings`` are those of the file."""

import pytest

from stream_app.config import Settings
from tests.counted import Shop, a_counted_shop, placed
from tests.model_desk import with_two_versions


@pytest.fixture
def two_versions(settings: Settings) -> Settings:
    """A model of two versions: see `with_two_versions`."""
    return with_two_versions(settings)


@pytest.fixture
async def shop(settings: Settings) -> Shop:
    """A shop that was counted: see `a_counted_shop`."""
    return await a_counted_shop(settings)


@pytest.fixture
async def placed_shop(shop: Shop) -> Shop:
    """The shop when everybody has a segment."""
    return await placed(shop)
