"""What no rank of the run wrote is noticed before it is looked at."""

import io
import os
import pickle
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.distributed.distributed_c10d as c10d

from labs.kit.distributed import seal as seals
from labs.kit.distributed.seal import ForeignValue, Seal
from labs.kit.distributed.world import World
from tests.kit.distributed.ranks import together

STRANGER = "somebody else reached its ranks"


def test_what_was_closed_opens_for_who_knows_the_secret() -> None:
    secret = b"s" * 32
    assert Seal(secret).opened("key", Seal(secret).closed("key", "ą text").encode()) == "ą text"


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        b"short",
        b"0" * 64 + b"text",
        b"\xff" * 80,
        Seal(b"other").closed("key", "text").encode(),
        Seal(b"secret").closed("another key", "text").encode(),
        Seal(b"secret").closed("key", "text").encode() + b"!",
    ],
    ids=["nothing", "short", "made up", "no text", "another run's", "another key's", "changed"],
)
def test_what_was_not_is_refused_without_being_shown(sealed: bytes) -> None:
    with pytest.raises(ForeignValue, match=STRANGER) as refused:
        Seal(b"secret").opened("key", sealed)
    assert "text" not in str(refused.value)


def test_a_value_in_the_place_of_another_ranks_ends_the_run() -> None:
    def action(world: World) -> object:
        if world.rank == 1:
            assert world.store is not None
            world.store.set("topic/1/1", pickle.dumps(print).hex())
            return None
        with pytest.raises(ForeignValue, match=STRANGER):
            world.gather("topic", 1)
        return "refused"

    assert together(2, action)[0] == "refused"


def test_a_value_that_was_said_before_is_no_answer_now() -> None:
    def action(world: World) -> object:
        world.gather("topic", world.rank)
        assert world.store is not None
        if world.rank == 1:
            world.store.set("topic/2/1", world.store.get("topic/1/1").decode())
            return None
        with pytest.raises(ForeignValue, match=STRANGER):
            world.gather("topic", 1)
        return "refused"

    assert together(2, action)[0] == "refused"


def test_what_was_said_in_another_run_of_the_same_ranks_is_no_answer() -> None:
    def action(world: World) -> object:
        first, second = (world.with_prefix(name, agree_s=5, collective_s=5) for name in ("a", "b"))
        first.gather("topic", world.rank)
        assert world.store is not None
        if world.rank == 1:
            world.store.set("b/topic/1/1", world.store.get("a/topic/1/1").decode())
            return None
        with pytest.raises(ForeignValue, match=STRANGER):
            second.gather("topic", 1)
        return "refused"

    assert together(2, action)[0] == "refused"


@pytest.mark.parametrize("topic", ["last-words", "place"])
def test_nobody_else_speaks_for_a_rank(topic: str) -> None:
    world = World(rank=0, size=2, store=dist.HashStore())
    assert world.store is not None
    world.store.set(f"{topic}/1", "\x1b[2J words of a stranger")
    with pytest.raises(ForeignValue, match=STRANGER):
        world.last_words() if topic == "last-words" else world.ranks_not_at("here")


def test_the_secret_is_its_owners_alone(tmp_path: Path) -> None:
    name, secret = seals.leave_secret(tmp_path)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert seals.find_secret(tmp_path, name) == secret
    assert len(secret) == 32
    seals.forget_secret(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_every_run_has_a_secret_of_its_own(tmp_path: Path) -> None:
    assert len({seals.leave_secret(tmp_path) for _ in range(3)}) == 3


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "0123456789ABCDEF", "0" * 15, "0" * 17, "a/b"])
def test_a_name_that_is_none_of_ours_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ForeignValue, match=STRANGER):
        seals.find_secret(tmp_path, name)


def test_a_folder_that_is_not_shared_is_said(tmp_path: Path) -> None:
    with pytest.raises(ForeignValue, match="all nodes need one LABS_HOME"):
        seals.find_secret(tmp_path, "0" * 16)


def test_a_file_that_others_can_read_is_no_secret(tmp_path: Path) -> None:
    name, _ = seals.leave_secret(tmp_path)
    (file,) = tmp_path.iterdir()
    file.chmod(0o640)
    with pytest.raises(ForeignValue, match=STRANGER):
        seals.find_secret(tmp_path, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_file_is_no_secret(tmp_path: Path) -> None:
    name, _ = seals.leave_secret(tmp_path)
    (file,) = tmp_path.iterdir()
    os.chown(file, 65534, 65534)
    with pytest.raises(ForeignValue, match=STRANGER):
        seals.find_secret(tmp_path, name)


def test_where_no_folder_is_shared_the_secret_comes_in_a_file(tmp_path: Path) -> None:
    """Two ranks of their own, which have no folder in common but get one secret."""
    (tmp_path / "secret").write_bytes(b"s" * 32)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    says = "from labs.kit.distributed.world import World; w = World.from_environment(); print(w.gather('x', w.rank)); w.part_ways()"
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", says],
            env={
                **os.environ,
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "LABS_HOME": str(tmp_path / f"home{rank}"),
                "LABS_SECRET_FILE": str(tmp_path / "secret"),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    assert [rank.communicate(timeout=120)[0] for rank in ranks] == ["[0, 1]\n"] * 2


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects in collectives are sealed, and no longer afterwards."""
    for name in ("_pickler", "_unpickler"):
        monkeypatch.setattr(c10d, name, getattr(c10d, name))
    Seal(b"secret").guard_objects()


@pytest.mark.usefixtures("guarded")
def test_torchs_collectives_for_objects_still_carry_objects() -> None:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        said: list[object] = [None]
        dist.all_gather_object(said, {"a": (1, print)})
        assert said == [{"a": (1, print)}]
    finally:
        dist.destroy_process_group()


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("head", [b"", b"\x00" * 32])
def test_torchs_collectives_for_objects_open_nothing_of_a_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForeignValue, match=STRANGER):
        c10d._unpickler(io.BytesIO(head + pickle.dumps(Bomb()))).load()
    assert not list(tmp_path.iterdir())
