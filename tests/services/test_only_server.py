"""One server a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamhub.errors import StoreError
from streamhub.services.bootstrap import only_server


def test_only_server_when_another_holds_the_folder_then_refused_until_it_ends(tmp_path: Path) -> None:
    with only_server(tmp_path):
        with pytest.raises(StoreError, match="another server uses") as refused, only_server(tmp_path):
            pass
        assert refused.value.code == "data_folder_in_use"
    with only_server(tmp_path):
        pass
