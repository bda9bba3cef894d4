import pytest
import torch

from vision_ai.errors import CorruptFileError, StateError, StorageError
from vision_ai.model.training import checkpoint
from vision_ai.model.training.checkpoint import Checkpoint

pytestmark = pytest.mark.train


def make(step):
    return Checkpoint(step, {"a": torch.full((3, 2), float(step))}, {"losses": [1.5] * step})


def newest(folder, step):
    return folder / f"step-{step:08d}.safetensors"


def test_what_is_saved_is_loaded(tmp_path):
    checkpoint.save(tmp_path, make(4))
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found.step == 4
    assert torch.equal(found.tensors["a"], make(4).tensors["a"])
    assert found.notes == make(4).notes


def test_no_checkpoint_yet_is_none(tmp_path):
    assert checkpoint.load(tmp_path) is None


def test_only_the_newest_two_are_kept(tmp_path):
    for step in (1, 2, 3, 4):
        checkpoint.save(tmp_path, make(step))
    assert sorted(p.name for p in tmp_path.glob("step-*")) == [
        newest(tmp_path, 3).name,
        newest(tmp_path, 4).name,
    ]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "remove"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, damage):
    checkpoint.save(tmp_path, make(1))
    checkpoint.save(tmp_path, make(2))
    spoil(newest(tmp_path, 2), damage)
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found.step == 1


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "remove"])
def test_only_damaged_checkpoints_are_an_error_that_names_the_repair(tmp_path, damage):
    checkpoint.save(tmp_path, make(1))
    spoil(newest(tmp_path, 1), damage)
    with pytest.raises(CorruptFileError) as caught:
        checkpoint.load(tmp_path)
    assert str(tmp_path) in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 2, "entries": []}', "[]"])
def test_a_damaged_list_is_an_error_that_names_the_repair(tmp_path, text):
    checkpoint.save(tmp_path, make(1))
    (tmp_path / "checkpoints.json").write_text(text)
    with pytest.raises(CorruptFileError) as caught:
        checkpoint.load(tmp_path)
    assert "train" in caught.value.hint


def test_a_list_may_not_point_outside_its_folder(tmp_path):
    checkpoint.save(tmp_path, make(1))
    listed = tmp_path / "checkpoints.json"
    listed.write_text(listed.read_text().replace("step-00000001", "../step-00000001"))
    with pytest.raises(CorruptFileError):
        checkpoint.load(tmp_path)


def test_a_write_that_fails_leaves_the_earlier_checkpoint(tmp_path):
    folder = tmp_path / "run"
    checkpoint.save(folder, make(1))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        checkpoint.save(tmp_path / "file" / "run", make(2))
    assert checkpoint.load(folder) is not None


def test_leftovers_of_a_killed_write_are_swept_away(tmp_path):
    (tmp_path / ".step-00000001.safetensors.abc.tmp").write_bytes(b"half")
    checkpoint.save(tmp_path, make(1))
    assert not list(tmp_path.glob(".*.tmp"))


def spoil(path, damage):
    payload = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncate":
        path.write_bytes(payload[: len(payload) // 2])
    else:
        payload[-1] ^= 1
        path.write_bytes(payload)


def test_a_second_process_is_kept_out_of_a_run_until_it_ends(tmp_path):
    with checkpoint.alone(tmp_path / "run", "Run x"):
        with pytest.raises(StateError, match="Run x is under way"):  # noqa: SIM117
            with checkpoint.alone(tmp_path / "run", "Run x"):
                pass
        with checkpoint.alone(tmp_path / "other", "Run y"):
            pass
    with checkpoint.alone(tmp_path / "run", "Run x"):
        pass


def test_a_run_whose_folder_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError), checkpoint.alone(tmp_path / "file" / "run", "Run x"):
        pass


def test_clearing_removes_the_run_and_may_be_repeated(tmp_path):
    checkpoint.save(tmp_path / "run", make(1))
    for _ in range(2):
        checkpoint.clear(tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_step_saved_again_replaces_its_checkpoint(tmp_path):
    checkpoint.save(tmp_path, make(1))
    checkpoint.save(tmp_path, Checkpoint(1, {"a": torch.zeros(1)}, {"again": True}))
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found.notes == {"again": True}
    assert len(list(tmp_path.glob("step-*"))) == 1


def test_tensors_of_a_part_lose_its_prefix():
    tensors = {"now/a": torch.ones(1), "now/b/c": torch.ones(2), "mean/a": torch.ones(3)}
    assert set(checkpoint.part(tensors, "now/")) == {"a", "b/c"}
