"""What the vault says of itself is not believed beyond what it shows."""

from pathlib import Path

import pytest

from pipelines.vault.member import MemberError, MemberOfKey
from tests.pipelines.conftest import settings_for
from tests.pipelines.service import Reply, Service


@pytest.mark.parametrize("items", [[], [{"modelVersionId": 1}]], ids=["empty", "the same"])
def test_a_vault_that_tells_of_pages_without_end_is_not_read_without_end(
    service: Service, tmp_path: Path, items: list[object]
) -> None:
    service.replies("/vault/all", Reply({"items": items, "totalItems": 10**9, "totalPages": 10**9}))
    with pytest.raises(MemberError, match="changed in each of 3 readings"):
        MemberOfKey(settings_for(service.api_url, tmp_path, api_key="a-key-of-a-test", dialect="live")).vault_items()
    assert len(service.requests) <= 6
