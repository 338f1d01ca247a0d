"""Downloads: whole, checked, gone on with, and refused in words that say what to do."""

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest

from headstart import disk
from headstart.errors import StorageError, TasksError
from headstart.tasks.download import download
from tests.tasks.conftest import Site

BYTES = os.urandom(200_000)
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_its_bytes_are_counted(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"] = BYTES
    told: list[tuple[str, int, int]] = []
    download(f"{site.url}/a.zip", tmp_path / "new" / "a.zip", SHA256, lambda *facts: told.append(facts))
    assert (tmp_path / "new" / "a.zip").read_bytes() == BYTES
    assert names(tmp_path / "new") == ["a.zip"]
    assert told[-1] == ("a.zip", 200_000, 200_000)
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})


def test_a_file_that_is_there_is_not_asked_for_again(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "a.zip").write_bytes(BYTES)
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert site.asked == []


def test_a_damaged_file_that_is_there_is_fetched_again(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"] = BYTES
    (tmp_path / "a.zip").write_bytes(BYTES[:-1])
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert (tmp_path / "a.zip").read_bytes() == BYTES


def test_a_cut_connection_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"], site.cut = BYTES, 150_000
    with pytest.raises(TasksError, match=r"cut after 150,000 of 200,000 bytes of http.*a\.zip: run it again, and it goes on"):
        download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert names(tmp_path) == ["a.zip.part"]
    site.cut = None
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert (tmp_path / "a.zip").read_bytes() == BYTES
    assert [asked for _, asked in site.asked] == ["bytes=0-", "bytes=150000-"]


@pytest.mark.parametrize("cut", [None, 150_000])
def test_of_two_at_once_the_second_waits_and_goes_on_with_what_there_is(site: Site, tmp_path: Path, cut: int | None) -> None:
    site.files["/a.zip"], site.cut = BYTES, cut
    begun, told = threading.Event(), []

    def tell(*facts: object) -> None:
        told.append(facts)
        begun.set()

    url, path = f"{site.url}/a.zip", tmp_path / "a.zip"
    second = threading.Thread(target=download, args=(url, path, SHA256, tell))

    def while_it_arrives(*_: object) -> None:
        if not begun.is_set():
            site.cut = None
            second.start()
            assert begun.wait(10)

    with contextlib.nullcontext() if cut is None else pytest.raises(TasksError, match="cut after"):
        download(url, path, SHA256, while_it_arrives)
    second.join(10)
    assert told[0] == ("waiting for who is fetching a.zip", 0, 0)
    assert path.read_bytes() == BYTES
    assert names(tmp_path) == ["a.zip"]
    assert [asked for _, asked in site.asked] == ["bytes=0-"] + [f"bytes={cut}-"] * bool(cut)


def test_what_came_between_the_look_and_the_lock_is_not_fetched(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: (tmp_path / "a.zip").write_bytes(BYTES))
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert site.asked == []
    assert names(tmp_path) == ["a.zip"]


def test_a_disk_without_locks_is_downloaded_to(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    site.files["/a.zip"] = BYTES
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert names(tmp_path) == ["a.zip"]


def test_a_server_without_ranges_sends_all_of_it_again(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"], site.ranges = BYTES, False
    (tmp_path / "a.zip.part").write_bytes(BYTES[:100])
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert (tmp_path / "a.zip").read_bytes() == BYTES


def test_a_file_that_had_arrived_whole_only_gets_its_name(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"] = BYTES
    (tmp_path / "a.zip.part").write_bytes(BYTES)
    download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert names(tmp_path) == ["a.zip"]


def test_another_file_than_the_one_wanted_is_thrown_away_and_told(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"] = b"<html>please log in</html>"
    got = hashlib.sha256(site.files["/a.zip"]).hexdigest()
    with pytest.raises(TasksError, match=f"SHA-256 is {got}, {SHA256} was wanted.*Run it again"):
        download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert names(tmp_path) == []


def test_a_file_the_server_does_not_have_is_told(site: Site, tmp_path: Path) -> None:
    with pytest.raises(TasksError, match=r"answered 404 Not Found\. Try again with a network, or fetch .*put it at '.*a\.zip'"):
        download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert names(tmp_path) == []


def test_no_network_is_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TasksError, match=r"cannot be reached.*refused.*put it at"):
        download(f"http://127.0.0.1:{port}/a.zip", tmp_path / "a.zip", SHA256)


def test_offline_asks_nobody(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TasksError, match="stay offline"):
        download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert site.asked == []


def test_a_disk_that_refuses_is_told(site: Site, tmp_path: Path) -> None:
    site.files["/a.zip"] = BYTES
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        download(f"{site.url}/a.zip", tmp_path / "file" / "a.zip", SHA256)


def test_a_kill_before_the_name_leaves_what_arrived(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/a.zip"] = BYTES

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk, "settle", killed)
    with pytest.raises(KeyboardInterrupt):
        download(f"{site.url}/a.zip", tmp_path / "a.zip", SHA256)
    assert (tmp_path / "a.zip.part").read_bytes() == BYTES
