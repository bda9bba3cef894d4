from pathlib import Path

import pytest

from vision_ai import config
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
