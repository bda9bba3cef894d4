"""A tiny model in training: seconds, one thread."""

import torch

from tests.model import making
from vision_ai.domain import PHASES, READINGS
from vision_ai.model.training import presets
from vision_ai.model.training.batches import Batches
from vision_ai.model.training.sampler import PrioritizedSampler
from vision_ai.model.training.trainer import PromptSet, Recipe, Trainer

torch.set_num_threads(1)  # a tiny net gains nothing from more, and sums stay in one order

CPU = torch.device("cpu")


def recipe(**changes: object):
    settings = {
        "preset": "chart-clip-tiny", "steps": 8, "batch": 8, "warmup": 2, "check_every": 3,
        "save_every": 2, "precision": "fp32", "average": 0.9,
    }  # fmt: skip
    return Recipe.model_validate(settings | changes)


def reader(seed=0):
    torch.manual_seed(seed)
    return presets.create(presets.resolve("chart-clip-tiny"))


def words(model):
    groups = [[f"{r.setup} {r.direction}"] for r in READINGS]
    groups += [[f"phase {phase}", f"phase {phase} 1"] for phase in PHASES]
    return PromptSet(presets.tokenizer(model, making.WORDS), model.context, groups)


def trainer(**changes: object):
    model = reader()
    return Trainer(model, words(model), recipe(**changes), CPU, facts=1, bf16=False)


def batches(size=8):
    corpus = making.corpus()
    practice = PrioritizedSampler(corpus.reading, size=size, seed=0, balance=0.5, hard=0.95)
    return Batches(corpus, making.ARTIST, practice)
