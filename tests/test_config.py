"""Settings: where they are read from, what is refused, and where files lie."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from vision_ai import config
from vision_ai.domain import Interval, Phase
from vision_ai.errors import ConfigError


def test_no_file_means_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load(environ={}) == config.Config()


def test_the_environment_moves_the_exchange() -> None:
    url = "http://127.0.0.1:9000"
    assert config.load(environ={"VISION_AI_BYBIT_URL": url}).market.base_url == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[market]\ntimeout = 3", "timeout_s"),
        ("[markets]\nx = 3", "market"),
        ("[predict]\nlevel = 2", "predict.level"),
        ("[market]\nbase_url = 'file:///etc'", "market.base_url"),
        ("[market]\nbase_url = 'http://[abc'", "market.base_url"),
        ("[market]\nbase_url = 'http://localhost:99999'", "market.base_url"),
        ("[model]\nversion = '../../x'", "model.version"),
        ("market = 3", "market"),
        ("[market", "cannot be read"),
    ],
)
def test_wrong_settings_are_named_with_the_cure(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "vision_ai.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        config.load(path, environ={})


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no settings file") as caught:
        config.load(environ={"VISION_AI_CONFIG": str(tmp_path / "no.toml")})
    assert "VISION_AI_CONFIG" in caught.value.hint


def written(folder: Path, text: str) -> Path:
    path = folder / "vision_ai.toml"
    path.write_text(text)
    return path


def test_settings_are_read_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[index]\nneighbors = 7\n[chart]\ntheme = 'light'")
    monkeypatch.chdir(tmp_path)
    settings = config.load(environ={})
    assert (settings.index.neighbors, settings.chart.theme) == (7, "light")
    assert settings.market == config.MarketConfig()


def test_a_named_file_goes_before_the_environment_and_that_before_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {}
    for number, name in enumerate(("here", "environment", "argument"), start=1):
        (tmp_path / name).mkdir()
        files[name] = written(tmp_path / name, f"[index]\nneighbors = {number}")
    monkeypatch.chdir(tmp_path / "here")
    environ = {"VISION_AI_CONFIG": str(files["environment"])}
    assert config.load(environ={}).index.neighbors == 1
    assert config.load(environ=environ).index.neighbors == 2
    assert config.load(files["argument"], environ=environ).index.neighbors == 3


def test_the_address_of_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[market]\nbase_url = 'http://file:1'\nattempts = 9")
    environ = {"VISION_AI_BYBIT_URL": "http://127.0.0.1:9000"}
    market = config.load(path, environ=environ).market
    assert (market.base_url, market.attempts) == ("http://127.0.0.1:9000", 9)
    assert config.load(path, environ={"VISION_AI_BYBIT_URL": ""}).market.base_url == "http://file:1"


def test_a_wrong_address_of_the_environment_is_cured_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"market\.base_url") as caught:
        config.load(written(tmp_path, ""), environ={"VISION_AI_BYBIT_URL": "ftp://x"})
    assert "VISION_AI_BYBIT_URL" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[market]\ntimeout = 3", "Did you mean timeout_s?"),
        ("[markt]\nx = 3", "Did you mean market?"),
        ("[[decision.rules]]\nmin_confidence = 0.5\ndelta = 0.1\nreason = 'x'\ndelt = 1",
         "Did you mean delta?"),
        ("[chart]\nzzz = 1", "Known here: theme, width, height."),
        ("[chart]\nwidth = 5", "Correct that line of the settings file."),
    ],
)  # fmt: skip
def test_the_cure_names_what_was_meant(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(written(tmp_path, text), environ={})
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_a_wrong_value_is_shown_shortened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"chart\.theme is wrong.*was 'x+") as caught:
        config.load(written(tmp_path, f"[chart]\ntheme = '{'x' * 5000}'"), environ={})
    assert len(caught.value.message) < 250


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vision_ai.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(path, environ={})
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path, environ={})  # a folder


def test_rules_of_the_decision_are_read_in_their_order(tmp_path: Path) -> None:
    rule = "[[decision.rules]]\nmin_confidence = {}\ndelta = -0.1\nreason = 'r'\nphase = 'range'\n"
    path = written(tmp_path, rule.format(0.5) + rule.format(0.25))
    rules = config.load(path, environ={}).decision.rules
    assert [rule.min_confidence for rule in rules] == [0.5, 0.25]
    assert {rule.phase for rule in rules} == {Phase.RANGE}
    assert {rule.setup for rule in rules} == {None}


@pytest.mark.parametrize(
    ("section", "name", "values"),
    [
        ("market", "timeout_s", (0, 121)), ("market", "attempts", (0, 21)),
        ("market", "workers", (0, 33)), ("market", "history", (96, 100_001)),
        ("chart", "width", (479, 4001)), ("chart", "height", (299, 4001)),
        ("model", "threads", (-1, 65)), ("model", "batch", (0, 1025)),
        ("index", "neighbors", (0, 201)), ("index", "embargo_h", (-1, 10_001)),
        ("predict", "level", (0, 1)), ("predict", "shown", (-1, 51)),
        ("feedback", "target", (0, 1)), ("feedback", "stop", (0, 1)),
        ("feedback", "give_up_h", (0, -5)), ("decision", "stale_after_h", (0, -1)),
        ("gpt", "concurrency", (0, 65)), ("review", "weight", (0, 101)),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused_on_both_sides(
    tmp_path: Path, section: str, name: str, values: tuple[float, float]
) -> None:
    for value in values:
        path = written(tmp_path, f"[{section}]\n{name} = {value}")
        with pytest.raises(ConfigError, match=f"{section}.{name}"):
            config.load(path, environ={})


def test_settings_cannot_be_changed_after_they_are_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        config.Config().index.neighbors = 5  # type: ignore[misc]


def test_the_data_root_is_named_by_the_environment() -> None:
    assert config.data_root({"VISION_AI_DATA": "/somewhere"}) == Path("/somewhere")
    assert config.data_root({"VISION_AI_DATA": ""}) == config.data_root({}) == Path("data")


AS_OF = 1_749_988_800_000  # 2025-06-15T12:00:00Z


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (lambda p: p.klines("bybit-linear", "BTCUSDT", Interval.M5),
         "vision_ai/klines/bybit-linear_BTCUSDT_5m.parquet"),
        (lambda p: p.chart("BTCUSDT", Interval.H1, AS_OF),
         "charts/BTCUSDT/1h/BTCUSDT_1h_20250615_1200.png"),
        (lambda p: p.prediction("BTCUSDT", AS_OF),
         "vision_ai/predictions/BTCUSDT_20250615_1200.json"),
        (lambda p: p.feedback("BTCUSDT", AS_OF), "cv_feedback_logs/BTCUSDT_20250615_1200.jsonl"),
        (lambda p: p.proposal(AS_OF), "vision_ai/proposals/20250615_1200.json"),
        (lambda p: p.decisions_of("BTCUSDT", AS_OF),
         "vision_ai/decisions/BTCUSDT_20250615.jsonl"),
        (lambda p: p.comparison_models, "vision_ai/peers"),
        (lambda p: p.cv_predictions, "cv_predictions"),
        (lambda p: p.embeddings, "vision_ai/embeddings"),
        (lambda p: p.models, "vision_ai/models"),
        (lambda p: p.index, "vision_ai/index"),
        (lambda p: p.descriptions, "vision_ai/descriptions"),
        (lambda p: p.corrections, "vision_ai/reviews/corrections.jsonl"),
    ],
)  # fmt: skip
def test_files_keep_the_places_where_earlier_versions_left_them(
    path: Callable[[config.Paths], Path], expected: str
) -> None:
    assert path(config.Paths(Path("data"))) == Path("data") / expected
