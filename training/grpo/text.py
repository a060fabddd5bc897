"""The paper's single-turn policy: a generated thought and answer, rewarded on the response alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rranker import rewards
from rranker.data import RankingExample
from rranker.engine.generation import Sampling
from rranker.engine.loading.adapters import is_adapter
from rranker.engine.loading.arguments import as_source
from rranker.engine.loading.checkpoint import Checkpoint, read_checkpoint
from rranker.engine.loading.gguf import is_gguf
from rranker.engine.loading.hub import download
from rranker.metrics.graded import gains
from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_answers import answer_of, match, names_of, ranked
from rranker.prompts.r1_ranker import R1RankerFormat, Shown
from rranker.training.grpo.arguments import GrpoArguments
from rranker.training.grpo.callbacks import StopOnNaN
from rranker.training.grpo.checkpoints import start_from
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.data import prompt_rows
from rranker.training.grpo.rewards import decision_rewards
from rranker.training.grpo.safe_trainer import SafeGRPOTrainer
from rranker.training.options import as_dtype
from rranker.training.policy.adapters import adapters
from rranker.training.policy.texts import engine_writes, write_texts
from rranker.training.policy.token_logprobs import answer_scored, plain_head
from rranker.training.report import write_report
from rranker.writing import whole_folder


def prompt_ids(prompts: R1RankerFormat, case: RankingExample, method: str) -> list[int]:
    """The whole prompt, as `Ranker(format="r1_ranker")` asks. Query and candidates can never spell a special token."""
    return list(
        prompts.prompt(
            TEMPLATES[case.task],
            case.instruction or None,
            case.query,
            shown(case),
            order=method == "dranker",
        )
    )


def answer_rewards(
    cases: Sequence[RankingExample], responses: Sequence[str], method: str, k: int
) -> tuple[list[float], list[bool]]:
    """What each response earned, and whether it named nobody at all.

    Only the text of the answer tag is read (`answer_of`); a response without one, or that is like a name at best, names
    nobody. IRanker: 1 a worse one excluded, 0 a best one, -0.5 nobody. DRanker: NDCG@k of the list that was really
    parsed, less half of the share it leaves out.
    """
    answers = [answer_of(response) or "" for response in responses]
    names = [names_of(TEMPLATES[case.task], shown(case)) for case in cases]
    if method == "iranker":
        found = [match(text, called) for text, called in zip(answers, names, strict=True)]
        choices = [None if how == "closest" else choice for choice, how in found]
        decisions = [[-1 if choice is None else choice] for choice in choices]
        steps = decision_rewards([c.relevance for c in cases], decisions, method, "stepwise", k)
        return [row[0] for row in steps], [choice is None for choice in choices]
    lists = []
    for text, called in zip(answers, names, strict=True):
        parsed = ranked(text, called)
        lists.append([float(i) for i in parsed.order[: parsed.listed]])
    flat, offsets = rewards.ragged(lists)
    relevance = rewards.ragged([gains(case.relevance) for case in cases])
    scored = rewards.listing_rewards(*relevance, flat.astype("int64"), offsets, k=k)
    return scored.tolist(), [not row for row in lists]


def shown(case: RankingExample) -> list[Shown]:
    """Its candidates, as the prompt shows them."""
    return [Shown(place, text) for place, text in enumerate(case.candidates)]


class TextGRPOTrainer(SafeGRPOTrainer):
    """TRL's loss; prompts, rewards and, where the engine can, what is written are ours; else TRL or vLLM writes."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        arguments: GrpoArguments,
        config: GrpoConfig,
        cases: Mapping[str, RankingExample],
        held_out: Mapping[str, RankingExample],
        **rest: Any,
    ) -> None:
        self.method, self.cutoff = arguments.rollout.method, arguments.reward.ndcg_cutoff
        if self.method not in ("iranker", "dranker"):
            raise ValueError(
                f"an answer names whom to exclude (iranker) or gives the order (dranker): {self.method} has none"
            )
        self.cases = {**cases, **held_out}
        self._prompts = R1RankerFormat(TextEncoder(tokenizer))
        config.reward_weights = [1.0, arguments.reward.format_weight]
        super().__init__(
            model=model,
            reward_funcs=[self.answer_reward, format_reward],
            args=config,
            train_dataset=prompt_rows(cases, config),
            eval_dataset=_eval_rows(held_out) if held_out else None,
            processing_class=tokenizer,
            **rest,
        )
        config.reward_weights = None
        models = [m for m in (self.model, self.ref_model) if m is not None]
        inner = [_inner(self.accelerator.unwrap_model(m)) for m in models]
        # A sharded head is gathered by TRL, which also knows every other kind of head.
        one_device = not (self.is_fsdp_enabled or self.is_deepspeed_enabled or config.cast_lm_head_to_fp32)
        self._scores_tokens = one_device and all(map(plain_head, inner))
        self._slots = arguments.rollout.slots
        self.engine_writes = one_device and _asks_no_more(config) and engine_writes(inner[0])
        if self._scores_tokens:
            for lm in inner:
                answer_scored(lm, self.temperature, shared=self.engine_writes)

    def answer_reward(
        self, prompts: list[str], completions: list[str], log_metric: Any, **_: Any
    ) -> list[float]:
        """One reward a completion; logs the share of answers that could not be read."""
        cases = [self.cases[key] for key in prompts]
        rewards, invalid = answer_rewards(cases, completions, self.method, self.cutoff)
        log_metric("invalid", sum(invalid) / len(invalid))
        return rewards

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """TRL's hook: prompts are keys of cases."""
        tokens = [prompt_ids(self._prompts, self.cases[key], self.method) for key in prompts]
        return tokens, None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *rest: Any, **more: Any) -> tuple[Any, Any]:
        """TRL's hook: by the engine, on the present weights, a prompt encoded once for all of its rollouts."""
        if not self.engine_writes:
            trl = super()._generate_single_turn
            written: tuple[Any, Any] = trl(prompt_ids, *rest, **more)  # type: ignore[no-untyped-call]
            return written
        seeds = torch.randint(2**31, (len(prompt_ids),)).tolist()  # of the step: see `seed_step`
        with self.accelerator.autocast():
            texts = write_texts(
                _inner(self.accelerator.unwrap_model(self.model)),
                prompt_ids,
                most=int(self.args.max_completion_length),
                ends=self.eos_token_ids,
                sampling=Sampling(self.temperature, self.args.top_p),
                seeds=seeds,
                slots=self._slots,
            )
        return texts, None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.seed_step()
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return output

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **rest: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """TRL's hook, through `selected_logprobs`; TRL's own where the head is not plain, or a router is scored."""
        if not self._scores_tokens or any(
            value is not None and value is not False for value in rest.values()
        ):
            logprobs: tuple[Tensor, Tensor | None, Tensor | None] = (
                super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **rest
                )
            )
            return logprobs
        logps, entropies = [], []
        for ids, mask in zip(
            *(torch.split(x, batch_size or len(x)) for x in (input_ids, attention_mask)), strict=True
        ):
            with self.accelerator.autocast():
                scores = model(input_ids=ids, attention_mask=mask, scored=logits_to_keep)
            logps.append(scores[0])
            entropies.append(scores[1])
        return torch.cat(logps), torch.cat(entropies) if compute_entropy else None, None


def _inner(model: Any) -> Any:
    """The language model itself, its adapters' wrapper taken off."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def _asks_no_more(config: GrpoConfig) -> bool:
    """Whether texts are drawn by `temperature` and `top_p` alone, in this process."""
    elsewhere = config.use_vllm or config.use_transformers_continuous_batching
    others = config.top_k or config.min_p or config.generation_kwargs or config.cache_implementation
    bounded = config.max_completion_length is not None
    return bounded and not (elsewhere or others) and config.repetition_penalty == 1.0


def format_reward(completions: list[str], **_: Any) -> list[float]:
    """1 for one thought, then one answer, and nothing else. The prompt has opened the thought."""
    scores: list[float] = rewards.format_scores(completions, prefilled=True).tolist()
    return scores


def _eval_rows(keys: Mapping[str, RankingExample]) -> Any:
    from rranker.data.table import library

    return library().Dataset.from_dict({"prompt": list(keys)})


def check_reference(arguments: GrpoArguments, config: GrpoConfig) -> None:
    """Raises ValueError where the KL would be to another model than the start.

    TRL reads a reference by the name in the config of the model: that of an adapter names its base.
    """
    if not config.beta or arguments.policy.lora_rank:
        return
    source = as_source(arguments.policy.model)
    folder = download(source, weights=False) if isinstance(source, str) else source
    if folder is not None and (is_gguf(folder) or is_adapter(folder)):
        raise ValueError(
            f"--beta {config.beta:g} holds a text policy to its start, which has to be a whole checkpoint for that, "
            f"and {arguments.policy.model} is none: save it merged or converted (from_pretrained, save_pretrained) "
            "and give that folder, or train adapters (--lora_rank)"
        )


def load_text_policy(arguments: GrpoArguments, config: GrpoConfig) -> Checkpoint:
    """The checkpoint to start from, in bfloat16 where only adapters are trained and layers run in it.

    Its config says what is trained, and in whose prompts, as all that is saved of it will.
    """
    dtype = torch.bfloat16 if config.bf16 and arguments.policy.lora_rank else torch.float32
    checkpoint = read_checkpoint(arguments.policy.model, dtype)
    settings = replace(
        checkpoint.settings, method=arguments.rollout.method, calibration=None, prompt_format="r1_ranker"
    )
    checkpoint.lm.config.rranker = settings.entry()
    return checkpoint


def save_text_policy(trained: Any, tokenizer: Any, folder: Path, dtype: torch.dtype | None = None) -> None:
    """A folder that `Ranker` loads, whole or not at all, in `dtype` or as it was trained.

    Adapters are merged in fp32, as nothing trains on: added to weights in bfloat16, most of what they learnt
    would be rounded away.
    """
    whole = trained.cpu().float().merge_and_unload() if hasattr(trained, "peft_config") else trained
    if dtype is not None:
        whole = whole.to(dtype)
    with whole_folder(folder) as draft:
        whole.save_pretrained(draft)
        tokenizer.save_pretrained(draft)


def train_text(
    arguments: GrpoArguments,
    config: GrpoConfig,
    cases: Mapping[str, RankingExample],
    held_out: Mapping[str, RankingExample],
) -> TextGRPOTrainer:
    """Trains, and leaves checkpoints, `final` and the report in the output folder.

    `cases` are those that fit. Raises what `GrpoArguments.check` and `start_from` raise.
    """
    arguments.check(config)
    out = Path(str(config.output_dir))
    settings = arguments.fixed(config)
    resume = start_from(out, arguments.run.resume, settings)
    check_reference(arguments, config)
    checkpoint = load_text_policy(arguments, config)
    config.eval_on_start = config.eval_on_start and config.eval_strategy != "no" and resume is None
    trainer = TextGRPOTrainer(
        checkpoint.lm,
        checkpoint.tokenizer,
        arguments,
        config,
        cases,
        held_out,
        callbacks=[StopOnNaN()],
        peft_config=adapters(checkpoint.lm, arguments.policy.lora_rank),
    )
    trainer.train_from(resume, arguments.run.resume, settings)
    if trainer.accelerator.is_main_process:
        trained = trainer.accelerator.unwrap_model(trainer.model)
        save_text_policy(trained, checkpoint.tokenizer, out / "final", as_dtype(arguments.run.save_dtype))
        write_report(trainer.state.log_history, {**arguments.flat(), **config.to_dict()}, out)
    return trainer
