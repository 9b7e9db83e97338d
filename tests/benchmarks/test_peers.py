"""The peers: pinned, documented, and asked for the same row."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peer_servers
from benchmarks.peer_calls import without_paths
from benchmarks.peer_servers import PEERS, Peer, PeerError, prepare, row_request

FOLDER = Path(peer_servers.__file__).with_name("peers")
ROW = np.array([1.5, np.nan, -2.0], np.float32)
by_name = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


@by_name
def test_every_requirement_is_a_name_and_a_version_and_no_address(peer: Peer) -> None:
    lines = (FOLDER / f"{peer.environment}.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!-]+( ; .*)?|#.*", line)] == []


@pytest.mark.parametrize("script", sorted(FOLDER.glob("[!_]*.py")), ids=lambda script: script.stem)
def test_every_deployment_cites_the_page_that_it_follows(script: Path) -> None:
    assert "https://" in script.read_text(encoding="utf-8").split('"""')[1]


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.takes == "a row"], ids=lambda peer: peer.name)
def test_a_row_is_sent_with_null_where_a_value_is_missing(peer: Peer) -> None:
    body = row_request(peer, ROW, ["a", "b", "c"]).wire.partition(b"\r\n\r\n")[2]
    assert re.search(rb"\[1\.5,null,-2\.0\]", body)
    assert not any(isinstance(value, float) and math.isnan(value) for value in _values(json.loads(body)))


def test_a_peer_that_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_servers, "HERE", tmp_path)
    (tmp_path / "mlflow.txt").write_text("not a requirement at all\n", encoding="utf-8")
    with pytest.raises(PeerError, match="could not be installed"):
        prepare(PEERS[0], tmp_path, tmp_path)


def test_a_reason_is_quoted_without_paths() -> None:
    assert without_paths("Traceback\n  File x\nOSError: no file /home/me/x here\n") == "OSError: no file … here"


def _values(value: object) -> list[object]:
    if isinstance(value, dict):
        return [found for one in value.values() for found in _values(one)]
    if isinstance(value, list):
        return [found for one in value for found in _values(one)]
    return [value]
