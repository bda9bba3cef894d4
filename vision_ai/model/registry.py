"""Model versions on disk: the one that ships with the package, and those trained here.

A version is a folder: `image.onnx`, `text.onnx`, `tokenizer.json`, `model.safetensors`,
`exemplars.parquet` and `manifest.json`, which holds the SHA-256 of each of the others. The file
`current` beside the trained versions names the one in use; without it the shipped one is.
Knows no torch.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.errors import CorruptFileError, MissingModelError, StateError
from vision_ai.records import Finite, Record

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent.parent / "assets" / "chart-clip"
"""The model that comes with the package."""

CURRENT = "current"
"""Name that stands for the version in use, and of the file that says which that is."""


REQUIRED_FILES = ("image.onnx", "exemplars.parquet")
"""Files without which a version cannot read charts."""

FileName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*\.[a-z]+$")]
"""A file of a version's own folder, never a path."""


class TrainingCandles(Record):
    """The candles that a model was trained on."""

    klines: str = Field(description="SHA-256 over the digests of all tables")
    train_symbols: list[str]
    held_out_symbols: list[str]
    train_until: str = Field(description="training windows and their outcomes ended before")
    held_out_from: str = Field(description="validation windows started after")
    held_out_until: str = Field(default="", description="end of them; empty: of the candles")
    train_windows: int
    held_out_windows: int


class Manifest(Record):
    """`manifest.json`: what a model is, what it was trained on and how well it reads."""

    schema_version: Literal[1] = 1
    version: str
    preset: str
    style: str = Field(description="hash of the model view")
    rules: str = Field(description="version of the rule book that labelled the charts")
    dimension: int = Field(ge=1)
    context: int = Field(ge=1, description="tokens of a text")
    created_at: str
    recipe: dict[str, Any]
    data: TrainingCandles
    figures: dict[str, Finite] = Field(description="measured on held-out symbols, later in time")
    prior: dict[str, float] = Field(description="natural share of each reading and phase")
    scale: float = Field(description="inverse temperature of the contrastive loss")
    prototypes: dict[str, list[Finite]] = Field(
        description="unit vector of each reading's and each phase's prompts"
    )
    parents: list[str] = Field(
        default_factory=list, description="versions that it was made from, nearest first"
    )
    changes: dict[str, Any] = Field(
        default_factory=dict, description="what was changed in the parent, and the gate's verdict"
    )
    files: dict[FileName, str] = Field(description="SHA-256 of each file of the folder")

    @model_validator(mode="after")
    def _check_prototypes(self) -> Self:
        if any(len(row) != self.dimension for row in self.prototypes.values()):
            raise ValueError(f"a prototype does not have {self.dimension} numbers")
        return self


@dataclass(frozen=True)
class ModelFolder:
    """A model version on disk, its files checked against the manifest.

    Attributes:
        path: the folder.
        manifest: its content.
    """

    path: Path
    manifest: Manifest

    @property
    def version(self) -> str:
        """The version's name."""
        return self.manifest.version

    @property
    def repair(self) -> str:
        """What to do where a file of it is damaged."""
        return _repair_hint(self.path)

    @property
    def image(self) -> Path:
        """The image tower: uint8 (n, 192, 96, 3) to unit float32 (n, d)."""
        return self.path / "image.onnx"

    @property
    def image_hash(self) -> str:
        """SHA-256 of the image tower: versions that share it draw the same vectors."""
        return self.manifest.files[self.image.name]

    @property
    def text(self) -> Path:
        """The text tower: int64 (n, context) to unit float32 (n, d)."""
        return self.path / "text.onnx"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer of the text tower."""
        return self.path / "tokenizer.json"

    @property
    def weights(self) -> Path:
        """Weights of both towers, in open_clip's names."""
        return self.path / "model.safetensors"

    @property
    def exemplars(self) -> Path:
        """Charts with vectors, labels and outcomes, to be searched and voted with."""
        return self.path / "exemplars.parquet"


def resolve(paths: Paths, version: str = CURRENT) -> ModelFolder:
    """Find a model version and check its files.

    Args:
        paths: where trained versions are kept.
        version: a version's name, or `current`.

    Raises:
        MissingModelError: no such version.
        CorruptFileError: a file is missing, or differs from what was trained.
    """
    name = active_name(paths) if version == CURRENT else version
    folder = _folders(paths).get(name)
    if folder is None:
        known = ", ".join(sorted(_folders(paths))) or "none"
        raise MissingModelError(
            f"Model version {name[:80]!r} is not here; known: {known}.",
            hint="Pick one with vision-ai models list, or make one with vision-ai train.",
        )
    return open_folder(folder)


def versions(paths: Paths) -> list[ModelFolder]:
    """Every whole version, oldest first; damaged ones are logged and left out."""
    models = []
    for name, folder in _folders(paths).items():
        try:
            models.append(open_folder(folder))
        except CorruptFileError as error:
            logger.warning("model damaged version=%s error=%s", name, error)
    return sorted(models, key=lambda model: (model.manifest.created_at, model.version))


def open_folder(folder: Path) -> ModelFolder:
    """Read a version's manifest and check its files.

    Raises:
        CorruptFileError: a file is missing, or differs from what was trained.
    """
    repair = _repair_hint(folder)
    manifest = storage.read_document(folder / "manifest.json", Manifest, repair=repair)
    missing = [name for name in REQUIRED_FILES if name not in manifest.files]
    if missing or (folder != SHIPPED and manifest.version != folder.name):
        what = f"it lists no {missing[0]}" if missing else f"it is of {manifest.version[:80]!r}"
        raise CorruptFileError(f"{folder / 'manifest.json'} is damaged: {what}.", hint=repair)
    for name, expected in manifest.files.items():
        try:
            actual = sha256(folder / name)
        except FileNotFoundError as error:
            raise CorruptFileError(f"{folder / name} is missing.", hint=repair) from error
        except IsADirectoryError as error:
            raise CorruptFileError(f"{folder / name} is a folder.", hint=repair) from error
        if actual != expected:
            raise CorruptFileError(
                f"{folder / name} is damaged: expected SHA-256 {expected[:12]}, was {actual[:12]}.",
                hint=repair,
            )
    return ModelFolder(folder, manifest)


def publish(paths: Paths, staging: Path, manifest: Manifest) -> ModelFolder:
    """Turn a folder of freshly written files into a version, in one step.

    Args:
        paths: where versions are kept.
        staging: folder on the same disk with every file but the manifest.
        manifest: all but the files' hashes, which are taken here.

    Raises:
        StateError: a version of that name exists already.
        StorageError: the disk is full or read-only.
    """
    target = paths.models / manifest.version
    if target.exists():
        raise StateError(
            f"Model version {manifest.version} exists already.", hint=f"Delete {target} first."
        )
    hashes = {path.name: sha256(path) for path in sorted(staging.iterdir())}
    full = manifest.model_copy(update={"files": hashes})
    storage.write_document(staging / "manifest.json", full)
    with storage.writing(target):
        staging.replace(target)
        storage.sync_folder(paths.models)
    return open_folder(target)


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def active_name(paths: Paths) -> str:
    """Name of the version in use, whole or not; the shipped one where nothing was activated.

    Raises:
        CorruptFileError: the file that names it is damaged.
        MissingModelError: no model is installed.
    """
    pointer = paths.models / CURRENT
    if pointer.is_file():
        try:
            return pointer.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise CorruptFileError(
                f"{pointer} is damaged: expected the name of a version.",
                hint=f"Delete {pointer} to use the shipped model.",
            ) from error
    if (SHIPPED / "manifest.json").is_file():
        return _name(SHIPPED)
    raise MissingModelError(
        "No model is installed.", hint="Install vision-ai again, or run vision-ai train."
    )


def _folders(paths: Paths) -> Mapping[str, Path]:
    folders: dict[str, Path] = {}
    if (SHIPPED / "manifest.json").is_file():
        folders[_name(SHIPPED)] = SHIPPED
    if paths.models.is_dir():
        for folder in sorted(paths.models.iterdir()):
            if not folder.name.startswith(".") and (folder / "manifest.json").is_file():
                folders[folder.name] = folder
    return folders


def _name(folder: Path) -> str:
    content = storage.read_json(folder / "manifest.json", repair=_repair_hint(folder))
    return str(content.get("version"))


def _repair_hint(folder: Path) -> str:
    if folder == SHIPPED:
        return "Install vision-ai again: pip install --force-reinstall --no-deps vision-ai."
    return f"Delete {folder} and run vision-ai train again."
