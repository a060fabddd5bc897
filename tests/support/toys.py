"""A toy ranking task, a tiny policy for it, and a runnable training of a few steps.

`main` is what the kill and the two-process tests start, in processes of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rranker.data import RankingExample
from rranker.engine.loading.sentence_encoder import CompareBy
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft.checkpoint import save_model
from rranker.training.sft.from_encoder import from_encoder
from tests.support.architectures import spread, tiny_model
from tests.support.encoders import save_encoder
from tests.support.toy_examples import WORDS, make_case


def toy_cases(count: int, seed: int = 0, n: int = 5) -> dict[str, RankingExample]:
    """Keyed cases of 2 … n short candidates."""
    rng = np.random.default_rng(seed)
    return {f"toy/{i}": make_case(rng, int(rng.integers(2, n + 1))) for i in range(count)}


def learnable_cases(count: int, seed: int = 0, n: int = 5) -> dict[str, RankingExample]:
    """The best candidate is the one that says `red`: a few dozen steps are enough to learn it."""
    rng = np.random.default_rng(seed)
    others = [word for word in WORDS if word.isascii() and word.isalpha() and word != "red"]
    cases = {}
    for i in range(count):
        best = int(rng.integers(n))
        texts = [f"{rng.choice(others)} {'red' if j == best else rng.choice(others)}" for j in range(n)]
        relevance = [float(j == best) for j in range(n)]
        cases[f"red/{i}"] = RankingExample("passage", f"which {i}", None, texts, relevance, f"red-{seed}-{i}")
    return cases


def save_pointer_policy(tokenizer: Any, tiny: ModelConfig, folder: Path, seed: int = 0) -> Path:
    save_model(build_model(tiny, seed), tokenizer, folder)
    return folder


def save_encoder_policy(folder: Path, seed: int = 0, pooling: CompareBy = "mean") -> Path:
    """A tiny encoder behind a head drawn from `seed`: rounds depend on who is left."""
    model, tokenizer = from_encoder(save_encoder(folder / "encoder", words=WORDS), pooling=pooling)
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.head.w)
    torch.nn.init.normal_(model.head.W, std=0.1)
    save_model(model, tokenizer, folder)
    return folder


def save_causal_policy(tokenizer: Any, folder: Path, seed: int = 0) -> Path:
    """A random Qwen2 that names candidates by identifiers, with a tokenizer that has some."""
    model = tiny_model("qwen2", seed)
    model.resize_token_embeddings(len(tokenizer))
    spread(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def options(model: Path, out: Path, **changes: Any) -> list[str]:
    """Command-line words of a quick run."""
    settings = {
        "model": model,
        "output_dir": out,
        "max_steps": 6,
        "per_device_train_batch_size": 16,
        "num_generations": 4,
        "save_steps": 2,
        "eval_steps": 3,
        "learning_rate": 0.003,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "disable_tqdm": True,
        **changes,
    }
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def main(words: Sequence[str]) -> None:
    """`python -m training.grpo` on the toy task, in one thread."""
    from rranker.training.grpo import explain, parse, train

    torch.set_num_threads(1)
    arguments, config = parse(words)
    try:
        train(arguments, config, toy_cases(24), {"toy": list(toy_cases(8, seed=1).values())})
    except Exception as error:
        message = explain(error, Path(str(config.output_dir)))
        if message is None:
            raise
        sys.exit(message)
