"""What a container may yet have."""

from __future__ import annotations

import mmap
from pathlib import Path

import psutil
import pytest
import torch

from headstart.plan import cards, installed, machine, system
from headstart.plan.memory import freed_bytes, held_bytes, place_of
from headstart.plan.system import machine_memory

LIMIT, USED, IDLE = 64 << 20, 60 << 20, 50 << 20
"""Far below what any machine that runs the tests has free."""
STAT = "anon 9\nfile 70000000\n{} {}\nactive_file 7\n"


def limited(group: Path, limit: str, used: str) -> Path:
    """A group's folder, with what it may have and has."""
    group.mkdir(parents=True, exist_ok=True)
    (group / limit).write_text(f"{LIMIT}\n")
    (group / used).write_text(f"{USED}\n")
    return group


@pytest.mark.parametrize(
    ("folder", "limit", "used", "idle"),
    [
        (".", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_files_that_a_container_no_longer_uses_are_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, limit: str, used: str, idle: str
) -> None:
    monkeypatch.setattr(system, "CGROUP", tmp_path)
    there = limited(tmp_path / folder, limit, used)
    assert machine_memory()[1] == LIMIT - USED, "without a table nothing is known to be free"
    (there / "memory.stat").write_text(STAT.format(idle, IDLE))
    assert machine_memory()[1] == LIMIT - USED + IDLE
    # The two are not read at one instant.
    (there / "memory.stat").write_text(STAT.format(idle, 2 * USED))
    assert machine_memory()[1] == LIMIT


@pytest.mark.parametrize(
    ("row", "folder", "limit", "used"),
    [
        ("0::/user.slice/job", "user.slice", "memory.max", "memory.current"),
        ("0::/user.slice/job", "user.slice/job", "memory.max", "memory.current"),
        ("4:cpu,memory:/job/step", "memory/job", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_a_limit_on_the_group_or_on_one_around_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, folder: str, limit: str, used: str
) -> None:
    monkeypatch.setattr(system, "CGROUP", tmp_path / "groups")
    monkeypatch.setattr(system, "MINE", tmp_path / "mine")
    (tmp_path / "mine").write_text(f"9:name=systemd:/else\n{row}\n")
    limited(tmp_path / "groups" / folder, limit, used)
    # A limit outside of all groups is nobody's.
    (tmp_path / "memory.max").write_text("1\n")
    (tmp_path / "memory.current").write_text("0\n")
    assert machine_memory() == (LIMIT, LIMIT - USED)


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text(f"{USED}\n")
    assert machine_memory()[1] > LIMIT


SMI = """#!/bin/sh
case "$1" in
  *memory.total) case "$3" in
    --id=MIG*) exit 6 ;;
    --id=1) echo "NVIDIA H100 80GB HBM3, 70000, 81559" ;;
    *) echo "NVIDIA GeForce RTX 4090, 24000, 24564" ;;
  esac ;;
  *driver_version) echo "NVIDIA GeForce RTX 4090, 550.1" ;;
  *) echo "77, python, 512"; echo; echo "78, other, 1024"; echo "$PPID, python, 300" ;;
esac
"""
"""Whose child asks is at work on the card too."""


def test_nvidia_s_own_tool_is_asked_alike_for_all_that_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (cards.nvidia_smi("gpu=name"), installed.nvidia(), [*machine.others("a card")]) == (None, None, [])
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert installed.nvidia() == "NVIDIA GeForce RTX 4090, 550.1"
    place = cards.here()
    assert (place.gpu, place.memory, place.whole) == (True, 24000 << 20, 24564 << 20)
    assert next(machine.others("a card")).what == "at work on it: 77, python, 512 MiB; 78, other, 1024 MiB"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert (cards.here().memory, cards.here().bandwidth) == (70000 << 20, cards.card("H100").bandwidth), "by its driver's name"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1f2e")
    assert (cards.here().gpu, cards.here().memory) == (True, 24000 << 20), "of a part it tells nothing"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not cards.here().gpu
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert (installed.nvidia(), cards.here().gpu) == (None, False)


def test_what_computes_goes_by_where_torch_does_and_by_no_other_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert not place_of(torch.device("cpu")).gpu, "a card beside a torch that computes on the processor"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"AMD Radeon RX 7900 XT{'X' * device.index}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (device.index << 30, 8 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    second = place_of(torch.device("cuda:1"))
    assert (second.gpu, second.memory, second.whole, second.source) == (True, (1 << 30) + 200, 8 << 30, "torch; speeds from the table")
    assert second.bandwidth == cards.card("RX 7900 XTX").bandwidth


def test_a_mac_without_bf16_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "CPUINFO", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    for told, native in (("0", False), ("1", True)):
        (tmp_path / "sysctl").write_text(f"#!/bin/sh\necho {told}\n")
        (tmp_path / "sysctl").chmod(0o755)
        assert cards.processor().native is native
    assert not cards.card("M1 16GB").native
    assert cards.card("M4 16GB").native


@pytest.mark.skipif(not hasattr(psutil.Process().memory_info(), "shared"), reason="this system does not tell what is shared")
def test_pages_of_a_file_count_as_held_and_not_as_what_would_be_freed(tmp_path: Path) -> None:
    size, here = 1 << 26, torch.device("cpu")
    (tmp_path / "base").write_bytes(bytes(size))
    with (tmp_path / "base").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        held, freed = held_bytes(here), freed_bytes(here)
        assert sum(pages[at] for at in range(0, size, mmap.PAGESIZE)) == 0
        assert held_bytes(here) - held > size / 2 > freed_bytes(here) - freed
