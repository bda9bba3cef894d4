"""Versions made by feedback: published, promoted, taken back, killed in between."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import standin
from tests.feedback.examples import AS_OF, H_MS, line, prediction
from tests.kills import kill_at_random
from vision_ai import index, storage
from vision_ai.cli.app import run
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import HORIZONS, Horizon, Interval, iso
from vision_ai.errors import ConfigError, StateError
from vision_ai.feedback_loop_cv import Challenge, append, propose
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.market.simulate import simulate
from vision_ai.model import lineage, registry
from vision_ai.pipeline import models, reader
from vision_ai.pipeline.learning import reweight
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import GateAttempt

PROGRAM = """
import sys
from pathlib import Path
from vision_ai.config import Paths
from vision_ai.model import lineage
print("begun", flush=True)
for _ in range(20):
    lineage.activate(Paths(Path(sys.argv[1])), sys.argv[2])
    lineage.activate(Paths(Path(sys.argv[1])), sys.argv[3])
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    """A data root with the stand-in model, to be copied."""
    paths = Paths(tmp_path_factory.mktemp("origin"))
    standin.install(paths, [simulate("AAAUSDT", Interval.M15, 900, seed=1, end_ms=AS_OF)])
    return paths.root


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch, origin: Path) -> Workspace:
    paths = Paths(Path(shutil.copytree(origin, tmp_path / "data")))
    monkeypatch.setenv("VISION_AI_DATA", str(paths.root))
    monkeypatch.chdir(tmp_path)
    return Workspace(Config(), paths)


def passed(workspace: Workspace, *, number: int = 1) -> Challenge:
    """A challenge in which everything was found better."""
    champion = reweight.champion(workspace, AS_OF)
    chosen = sorted(champion.exemplars)[:10]
    attempt = GateAttempt(
        number=number,
        made_at=iso(AS_OF),
        champion=champion.version,
        horizon=Horizon.H6,
        alpha=0.05,
        learned_until=iso(AS_OF - 200 * H_MS),
        judged_from=iso(AS_OF - 100 * H_MS),
        judged_until=iso(AS_OF),
        learned=1,
        judged=1,
        days=1,
        parts=[],
        promote=True,
    )
    factors = {place: 0.5 for place in chosen}
    return Challenge(propose([], [], AS_OF), attempt, factors, dict.fromkeys(HORIZONS, 1.5))


def test_a_version_shares_everything_but_weights_and_bands(workspace: Workspace) -> None:
    parent = registry.resolve(workspace.paths)
    champion = reweight.champion(workspace, AS_OF)
    name = champion.publish(passed(workspace))
    assert registry.resolve(workspace.paths).version == parent.version
    child = registry.resolve(workspace.paths, name)
    assert child.manifest.parents == [parent.version]
    assert child.manifest.changes["exemplars"] == 10
    assert child.manifest.files["image.onnx"] == parent.manifest.files["image.onnx"]
    was, now = reader.exemplars(parent), reader.exemplars(child)
    assert np.array_equal(was.vectors, now.vectors)
    assert sorted(set((now.weight / was.weight).tolist())) == [0.5, 1.0]
    assert int((now.weight != was.weight).sum()) == 10
    report = models.diff(workspace, parent.version, name).payload()
    assert report["weights"]["weights_changed"] == 10
    assert report["bands"]["15m 6h"] == [1.0, 1.5]
    assert report["files"] == ["exemplars.parquet"]


def test_publishing_the_same_changes_again_gives_the_same_version(workspace: Workspace) -> None:
    champion = reweight.champion(workspace, AS_OF)
    first = champion.publish(passed(workspace))
    assert champion.publish(passed(workspace)) == first
    later = reweight.champion(workspace, AS_OF + H_MS)
    assert later.publish(passed(workspace)) == first


def test_stretched_bands_are_wider_and_weights_reach_the_reader(workspace: Workspace) -> None:
    champion = reweight.champion(workspace, AS_OF)
    champion.promote(champion.publish(passed(workspace)))
    new = reader.Reader.open(workspace.config, workspace.paths)
    lineage.rollback(workspace.paths)
    old = reader.Reader.open(workspace.config, workspace.paths)
    market = simulate("BBBUSDT", Interval.M15, 96, seed=3, end_ms=AS_OF)
    spans = reader.spans_of(["BBBUSDT"], [Interval.M15], [AS_OF])
    wide = new.answers(market.bars[None], spans).bands
    plain = old.answers(market.bars[None], spans).bands
    wider = np.log1p(wide.high) - np.log1p(wide.low)
    assert (wider > 1.4 * (np.log1p(plain.high) - np.log1p(plain.low))).all()


def test_an_index_that_was_built_before_serves_the_new_version(workspace: Workspace) -> None:
    parent = registry.resolve(workspace.paths)
    index.build(workspace.paths.index, reader.exemplars(parent), now_ms=AS_OF)
    champion = reweight.champion(workspace, AS_OF)
    champion.promote(champion.publish(passed(workspace)))
    child = registry.resolve(workspace.paths)
    served = reader.open_index(workspace.paths, child).rows
    assert served.model == child.version
    assert np.array_equal(served.weight, reader.exemplars(child).weight)


def test_rollback_goes_back_step_by_step_and_then_says_so(workspace: Workspace, capsys) -> None:
    first = registry.resolve(workspace.paths).version
    names = []
    for number in (1, 2):
        champion = reweight.champion(workspace, AS_OF)
        names.append(champion.publish(passed(workspace, number=number)))
        champion.promote(names[-1])
    assert run(["models", "rollback", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == names[0]
    assert lineage.rollback(workspace.paths).version == first
    assert run(["models", "promote", names[1]]) == 0
    assert registry.resolve(workspace.paths).version == names[1]
    assert lineage.rollback(workspace.paths).version == first
    assert run(["models", "diff", first, names[1]]) == 0
    kinds = [line.kind for line in lineage.read_history(workspace.paths)]
    assert kinds[-5:] == ["promote", "rollback", "rollback", "promote", "rollback"]


def test_a_promotion_that_never_came_is_known_until_it_comes(workspace: Workspace) -> None:
    champion = reweight.champion(workspace, AS_OF)
    name = champion.publish(passed(workspace))
    assert champion.was_cut_short(name)
    void = lineage.Switch(at=iso(AS_OF), kind="promote", was=champion.version, to=name)
    lineage.record_switch(workspace.paths, void)
    assert champion.was_cut_short(name)
    champion.promote(name)
    assert not champion.was_cut_short(name)
    lineage.rollback(workspace.paths)
    assert registry.resolve(workspace.paths).version == champion.version
    assert not champion.was_cut_short(name)
    assert not champion.was_cut_short("deleted")


def test_a_version_that_replaced_none_cannot_be_taken_back(workspace: Workspace) -> None:
    (workspace.paths.models / "history.jsonl").unlink()
    with pytest.raises(StateError, match="replaced no other"):
        lineage.rollback(workspace.paths)


def test_settings_that_fix_a_model_refuse_an_update(workspace: Workspace) -> None:
    fixed = Config(model=ModelConfig(version=standin.VERSION))
    with pytest.raises(ConfigError, match="fix the model"):
        reweight.champion(Workspace(fixed, workspace.paths), AS_OF)


@pytest.mark.slow
def test_a_killed_promotion_leaves_one_whole_version_in_use(workspace: Workspace) -> None:
    champion = reweight.champion(workspace, AS_OF)
    first, second = champion.version, champion.publish(passed(workspace))
    seen = []

    def check() -> None:
        current = registry.resolve(workspace.paths).version
        assert current in (first, second)
        descent = lineage.active_versions(lineage.read_history(workspace.paths), current)
        assert descent[-1] == current
        seen.append(current)

    command = [sys.executable, "-c", PROGRAM, str(workspace.paths.root), second, first]
    struck = kill_at_random(command, check, kills=6, seed=2)
    assert struck > 0
    assert len(seen) == 7


def test_an_unknown_mode_is_one_sentence(workspace: Workspace, capsys) -> None:
    assert run(["feedback", "update", "--mode", "nonsense"]) == 2
    assert "No such mode" in capsys.readouterr().err


def outcomes(workspace: Workspace, days: int) -> None:
    """Calls of the model in use whose bands are too narrow by half, and what followed."""
    rng = np.random.default_rng(4)
    for day in range(days):
        for symbol in range(4):
            at = AS_OF - (days - day) * 24 * H_MS
            call = prediction(symbol=f"S{symbol}USDT", as_of_ms=at, model_version=standin.VERSION)
            storage.write_document(workspace.paths.prediction(call.symbol, at), call)
            entry = line(
                symbol=call.symbol,
                as_of_ms=at,
                success=bool(rng.random() < 0.4),
                model_version=standin.VERSION,
                width_factor=float(abs(rng.normal()) * 2),
            )
            append(workspace.paths, [entry])


@pytest.mark.slow
def test_the_command_promotes_what_proved_better_and_then_waits(
    workspace: Workspace, monkeypatch, capsys
) -> None:
    outcomes(workspace, 120)
    listing = Listing.from_klines(
        "simulated-gate", [simulate("AAAUSDT", Interval.M5, 300, seed=0, end_ms=AS_OF)]
    )
    clock = Clock(AS_OF, frozen=True)
    with Replay(listing, clock) as replay:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", replay.url)
        assert run(["feedback", "update", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["proposal"]["attempt"] is None
        assert registry.resolve(workspace.paths).version == standin.VERSION
        assert run(["feedback", "update", "--mode", "reweight", "--json"]) == 0
        attempt = json.loads(capsys.readouterr().out)["proposal"]["attempt"]
        child = registry.resolve(workspace.paths)
        assert child.version == attempt["version"] != standin.VERSION
        assert child.manifest.changes["width_factor"]["6h"] > 1.3
        assert run(["models", "show"]) == 0
        assert "made by feedback, mode reweight" in capsys.readouterr().out
        assert run(["feedback", "review"]) == 0
        reviewed = capsys.readouterr().out
        assert "A hit: the target came before the stop" in reviewed
        assert "groups of fewer" not in reviewed
        assert run(["feedback", "update", "--mode", "reweight", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["proposal"]["attempt"] == attempt
        clock.set(AS_OF + H_MS)
        assert run(["feedback", "update", "--mode", "reweight"]) == 0
        assert "Nothing was attempted" in capsys.readouterr().out
        assert run(["models", "rollback"]) == 0
        assert registry.resolve(workspace.paths).version == standin.VERSION
