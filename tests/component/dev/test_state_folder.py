"""The state folder: one run at a time, secrets made once."""

import stat
from pathlib import Path

import pytest

from obc_common.keys import key_kind
from obc_dev.state import RunNote, StateFolder
from obc_dev.supervision.supervisor import StackError


def test_a_second_run_on_one_folder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with folder.locked():
        folder.write_note(RunNote(4711, True, {}))
        assert StateFolder(tmp_path).is_running()

        with pytest.raises(StackError, match=r"running already \(pid 4711\)"), StateFolder(tmp_path).locked():
            pass

    assert not StateFolder(tmp_path).is_running()


def test_secrets_are_made_once_and_readable_by_their_user_only(tmp_path: Path) -> None:
    first = StateFolder(tmp_path).secrets()

    assert StateFolder(tmp_path).secrets() == first
    assert key_kind(first.operator_key) == "operator"
    assert len(first.internal_secret) >= 32
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_what_is_written_to_demo_env_is_read_back(tmp_path: Path) -> None:
    values = {"OBC_URL": "http://127.0.0.1:8000", "OBC_WRITE_KEY": "wk_live_x"}

    StateFolder(tmp_path).write_demo_env(values)

    assert StateFolder(tmp_path).read_demo_env() == values
    assert StateFolder(tmp_path).demo_key.read_text() == "wk_live_x"  # alone, for the demo shop
