"""Supervised training of rankers, small ones and language models: `python -m training.sft --out runs/sft`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rranker.data import RankingExample
from rranker.engine.loading.checkpoint import Checkpoint, read_checkpoint
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.sources import OWN, Sources
from rranker.training.options import as_dtype
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft.anchor import anchor_of
from rranker.training.sft.checkpoint import check_begun, load_model, resumable, save_model, save_state
from rranker.training.sft.config import SftConfig
from rranker.training.sft.duration import steps_for, steps_for_passes
from rranker.training.sft.feeding import Maker, batch_processes, mixture, prefetched, workers
from rranker.training.sft.held_out import HeldOut
from rranker.training.sft.lsa import lay_into, lsa_embeddings
from rranker.training.sft.optimizer import MasterOptimizer, learnt
from rranker.training.sft.options import (
    MINUTES,
    PASSES,
    RunOptions,
    SftOptions,
    configured,
    parse,
    saved_settings,
    shape_of,
    training_device,
)
from rranker.training.sft.own_data import own_rows
from rranker.training.sft.prompted import PromptedModel, load_prompted_model, save_prompted_model
from rranker.training.sft.step import Model, learners, train_step
from rranker.training.sft.tokenizer import train_tokenizer
from rranker.writing import whole_folder, write_whole


def check(model: Model, config: SftConfig) -> None:
    """Raises ValueError where what `config` asks for does not go with the model."""
    if isinstance(model, PromptedModel):
        if config.anchor:
            raise ValueError("an anchor holds a model with a pointer head to its start: leave anchor out")
        return
    check_pointer(config)
    if model.head.pooling == "last" and any(name.endswith("-pairs") for name in config.weights):
        raise ValueError("pairs are told by the cosine of mean states: this model's head has no such term")
    if model.attends.bidirectional and (config.lm_weight or config.attention != "block"):
        raise ValueError(
            "an encoder learns in block attention, and has no next tokens to learn: lm_weight must be 0 and attention "
            f"'block', not {config.lm_weight} and {config.attention!r}"
        )


def check_pointer(config: SftConfig) -> None:
    """Raises ValueError where `config` asks of a pointer head what language models alone can choose."""
    if config.lora_rank or config.method != SftConfig.method:
        raise ValueError(
            "a model with a pointer head trains all of its weights, and for every method at once: leave lora_rank and "
            f"method out, not {config.lora_rank} and {config.method!r}"
        )


def train(  # noqa: PLR0913 (what is trained, and four options of the loop by keyword)
    config: SftConfig,
    out: Path,
    model: Model,
    tokenizer: Any,
    make: Maker,
    *,
    resume: bool = False,
    save_every: int = 200,
    log_every: int = 10,
    stop_at: int | None = None,
) -> None:
    """Runs to `config.steps` (or stops at `stop_at`) where `model` is, leaving `out/state.pt` and `out/final`.

    Raises FileExistsError when it would begin where another run has its state, ValueError when there is none to resume
    and when `config` does not go with the model, FloatingPointError when it diverges.
    """
    check_begun(out, resume)
    check(model, config)
    out.mkdir(parents=True, exist_ok=True)
    device = learnt(model)[0][1].device
    in_precision(model, config)
    optimizer = MasterOptimizer(model, config)
    start = 0
    if resume:
        state = torch.load(out / "state.pt", weights_only=True, map_location=device)
        optimizer.load_state_dict(state["optimizer"])
        start = int(state["step"])
    with resumable(out / "config.json"):
        write_whole(out / "config.json", json.dumps(config.to_dict(), indent=1))
    stop = config.steps if stop_at is None else min(stop_at, config.steps)
    seen: dict[str, list[tuple[float, float]]] = {}
    tokens, clock = 0, time.perf_counter()
    feed = prefetched(make, start, stop, batch_processes(device))
    anchor = anchor_of(config, device)
    with workers(learners(device)) as pool:
        for step, batches in enumerate(feed, start=start):
            reciprocal_ranks = train_step(model, batches, config, step, pool, optimizer.gradients, anchor)
            for (name, batch), pair in zip(batches, reciprocal_ranks, strict=True):
                seen.setdefault(name, []).append(pair)
                tokens += batch.tokens
            norm = optimizer.step(step)
            if (step + 1) % log_every == 0:
                seconds = time.perf_counter() - clock
                means = " ".join(
                    "{} {:.2f}/{:.3f}".format(name, *np.mean(pairs, axis=0))
                    for name, pairs in sorted(seen.items())
                )
                print(
                    f"step {step + 1}/{config.steps} norm {norm:.2f} {tokens / seconds:.0f} tok/s | {means}",
                    flush=True,
                )
                seen, tokens, clock = {}, 0, time.perf_counter()
            if (step + 1) % save_every == 0 or step + 1 == stop:
                with resumable(out / "state.pt"):
                    save_state(out / "state.pt", {"step": step + 1, "optimizer": optimizer.state_dict()})
                save(model, tokenizer, out / "latest", config)
    save(model, tokenizer, out / "final", config)


def save(model: Model, tokenizer: Any, folder: Path, config: SftConfig) -> None:
    """A folder that `Ranker` loads. Raises OSError where it cannot be written."""
    with resumable(folder), whole_folder(folder) as draft:
        if isinstance(model, PromptedModel):
            save_prompted_model(model, draft, as_dtype(config.save_dtype))
        else:
            save_model(model, tokenizer, draft, config.attention, dtype=as_dtype(config.save_dtype))


def first_model(config: SftConfig) -> Model:
    """The model that a run starts from, or a new one with random weights."""
    if config.start is None:
        return build_model(config.model, config.seed)
    if read_checkpoint(config.start, None).settings.readout == "pointer":
        return load_model(config.start)
    torch.manual_seed(config.seed)  # adapters begin at random
    return load_prompted_model(config.start, config.attention, config.method, config.lora_rank)


def first_tokenizer(given: Path | None, begun: Checkpoint | None, sources: Sources) -> Any:
    """A new run's tokenizer: the `given` one, else that of what it starts from, else one of the training texts."""
    if given is not None:
        if begun is not None and begun.settings.readout != "pointer":
            raise ValueError(
                "a language model without a pointer head reads by its own tokenizer: leave --tokenizer out"
            )
        return read_tokenizer(given)
    return train_tokenizer(sources.texts(), ModelConfig.vocab_size) if begun is None else begun.tokenizer


def in_precision(model: Model, config: SftConfig) -> None:
    """Makes the layers compute in the run's type. Buffers keep theirs: rotary frequencies are not to be rounded."""
    if config.precision == "bf16":
        for parameter in model.lm.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)


def start(config: SftConfig, run: RunOptions, sources: Sources, tokenizer: Any) -> tuple[SftConfig, Model]:
    """A new run's settings, with the number of steps that `run` asks for, and its model at birth."""
    if run.steps is None:
        model = first_model(config).to(training_device(run))
        in_precision(model, config)
        make = mixture(sources, model, tokenizer, config)
        if run.minutes is None and set(config.weights) == {OWN}:
            steps = steps_for_passes(run.passes or PASSES, sources.own.rows, make)
        else:
            steps = steps_for(run.minutes or MINUTES, config, model, make)
        config = replace(config, steps=steps)
    model = first_model(config)
    if isinstance(model, PromptedModel) or config.start is not None:
        return config, model
    documents = sources.documents(TextEncoder(tokenizer))
    meanings = lsa_embeddings(documents, config.model.vocab_size, config.model.hidden_size, config.seed)
    lay_into(model.lm.model.embed_tokens.weight, meanings, seed=config.seed)
    return config, model


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft`."""
    options = parse(words)
    try:
        carry_out(options)
    except FloatingPointError as error:
        state = options.run.out / "state.pt"
        good = f"The last state is {state}" if state.exists() else "No state had been written yet"
        sys.exit(f"Stopped: {error}. {good}. A run with another rate is a new one: give another --out.")


def carry_out(options: SftOptions) -> None:
    """Trains as the options say. Raises FloatingPointError when it diverges, and what is wrong with the options."""
    config = configured(options, saved_settings(options.run.out) if options.run.resume else None)
    resume = options.run.resume
    begun = None if config.start is None else read_checkpoint(config.start, None)
    if begun is not None and options.step.attention is None and not resume:
        config = replace(config, attention=begun.settings.attention)
    if begun is None or begun.settings.readout == "pointer":
        check_pointer(config)
    own, held_out = list[RankingExample](), None
    if config.start and begun and config.data:
        own, rows = own_rows(config, begun)
        held_out = HeldOut(config.start, rows, config.method)
    sources = Sources(config.uniform, config.early, config.teacher, config.collections, own)
    folder = options.run.out / "tokenizer"
    if not resume:  # kept beside the state, whose weights know its ids alone
        first_tokenizer(options.model.tokenizer, begun, sources).save_pretrained(folder)
    tokenizer = read_tokenizer(folder)
    if config.start is None and not resume:
        said = {"hidden": ModelConfig.hidden_size, "layers": ModelConfig.num_hidden_layers}
        shape = ModelConfig.of_width(**{**said, **shape_of(options.model)}, vocab_size=len(tokenizer))
        config = replace(config, model=shape)
    model = first_model(config)
    if isinstance(model, PromptedModel) or model.attends.bidirectional:
        config = replace(config, lm_weight=0.0)
    if not resume:
        config, model = start(config, options.run, sources, tokenizer)
    device = training_device(options.run)
    if batch_processes(device):
        sources.read(config.weights, device)  # once: the processes that make batches share it
    model = model.to(device)
    size = sum(parameter.numel() for _, parameter in learnt(model)) / 1e6
    print(f"{size:.2f} M parameters to learn, {config.steps} steps on {device}", flush=True)
    train(
        config,
        options.run.out,
        model,
        tokenizer,
        mixture(sources, model, tokenizer, config),
        resume=resume,
        save_every=options.run.save_every,
        stop_at=options.run.stop_at,
    )
    if held_out is not None:
        print(held_out.report(options.run.out / "final"), flush=True)
