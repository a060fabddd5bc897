"""TRL's GRPO on rankings: rollouts by the engine, re-scoring in the model's own attention, step-wise advantages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import numpy as np
import torch
from accelerate.utils import gather_object
from safetensors.torch import load_file
from torch import Tensor
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation

from rranker.data import RankingExample
from rranker.data.own import query_key
from rranker.engine.encoders import is_encoder
from rranker.engine.loading.pointer_head import HEAD_FILE
from rranker.methods import method_class, order_of
from rranker.metrics.graded import best_level, by_query, ndcgs, reciprocal_ranks
from rranker.prompts.segments import POINTWISE, Segments
from rranker.training.grpo.arguments import GrpoArguments
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.data import prompt_rows
from rranker.training.grpo.rewards import Reward, Scale, advantages, decision_rewards
from rranker.training.grpo.safe_trainer import SafeGRPOTrainer
from rranker.training.packing.layout import Attends
from rranker.training.policy.logprobs import Row, from_ids, score, to_ids
from rranker.training.policy.network import HEAD, Policy, load_policy, save_beside, split_head
from rranker.training.policy.ranking_model import BILINEAR_RATE
from rranker.training.policy.rollouts import RolloutEngine

Cases = Mapping[str, RankingExample]


def episode_reward(completions: Any, reward: list[float], **_: Any) -> list[float]:
    """What the episode earned in all; TRL logs it, and it is the advantage's source only in TRL's own way."""
    return reward


def final_ndcg(completions: Any, ndcg: list[float], **_: Any) -> list[float]:
    """Passes an episode's nDCG through, so that TRL logs it."""
    return ndcg


def final_mrr(completions: Any, mrr: list[float], **_: Any) -> list[float]:
    """Passes an episode's reciprocal rank through, so that TRL logs it."""
    return mrr


class RankingGRPOTrainer(SafeGRPOTrainer):
    """GRPO over decisions. A completion is a list of decisions: places in the prompt's candidates.

    `cases` by their prompt key; `held_out`: task → cases whose MRR evaluation reports.
    """

    args: GrpoConfig
    control: Any  # transformers' TrainerControl

    def __init__(
        self,
        policy: Policy,
        arguments: GrpoArguments,
        config: GrpoConfig,
        cases: Cases,
        held_out: Mapping[str, Sequence[RankingExample]],
        **rest: Any,
    ) -> None:
        self.rollout_options, self.reward_options = arguments.rollout, arguments.reward
        self.cases, self.held_out = cases, held_out
        self.policy = policy
        self.method = method_class(arguments.rollout.method)
        if self.method.kind in POINTWISE and hasattr(policy.lm, HEAD):
            raise ValueError(
                f"{self.method.name} asks a language model about each candidate, and this checkpoint has a pointer "
                "head for that: train it by iranker, selection or dranker"
            )
        self.engine = RolloutEngine(
            policy,
            max_prompt=arguments.rollout.max_prompt_tokens,
            max_candidate=arguments.rollout.max_candidate_tokens,
            slots=arguments.rollout.slots,
        )
        self._segments = lru_cache(maxsize=4096)(self._make_segments)
        rows = prompt_rows(cases, config)
        # TRL would build the reference from the hub name of the config, and without our head.
        beta, config.beta = config.beta, 0.0
        config.reward_weights = [1.0, 0.0, 0.0]
        try:
            super().__init__(
                model=policy.lm,
                reward_funcs=[episode_reward, final_ndcg, final_mrr],
                args=config,
                train_dataset=rows,
                eval_dataset=rows if held_out else None,
                processing_class=policy.tokenizer,
                rollout_func=self._rollouts,
                **rest,
            )
        finally:
            config.beta, config.reward_weights = beta, None
        self.beta = beta
        if beta and not self._is_peft():
            reference = load_policy(arguments.policy.model, dtype=policy.lm.dtype).lm.requires_grad_(False)
            self.ref_model = self.accelerator.prepare_model(reference, evaluation_mode=True)

    def _is_peft(self) -> bool:
        return hasattr(self.accelerator.unwrap_model(self.model), "peft_config")

    # ---- rollouts

    def _make_segments(self, key: str) -> Segments:
        return self.engine.prompts.segments(self.cases[key], self.method.kind)

    def _relevance(self, key: str) -> list[float]:
        """What rewards see of a case's relevance."""
        relevance = self.cases[key].relevance
        return best_level(relevance) if self.reward_options.relevance == "best" else relevance

    def _rollouts(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: one episode a prompt (equal neighbours are one group), by the engine.

        Each draws from a generator of its own (seed, step, prompt, number in the group), so that neither the
        number of processes nor an interruption changes what is drawn.
        """
        first = self.accelerator.process_index * len(prompts)
        groups: list[tuple[str, list[np.random.Generator]]] = []
        for place, key in enumerate(prompts, start=first):
            draw = place % self.args.num_generations
            seeds = [self.args.seed, self.state.global_step, crc32(key.encode()), draw]
            if not groups or groups[-1][0] != key or draw == 0:
                groups.append((key, []))
            groups[-1][1].append(np.random.default_rng(seeds))
        limit = 1 if self.rollout_options.episodes == "single" else None
        sharded = _full_weights(self)
        unwrapped = unwrap_model_for_generation(self.model_wrapped, self.accelerator)
        # In the precision that re-scores: what is drawn is what is then scored, at that speed.
        with unwrapped, torch.no_grad(), sharded, self.accelerator.autocast():
            sampled = self.engine.sample(
                [(self._segments(key), self._relevance(key), rngs) for key, rngs in groups],
                self.rollout_options.method,
                self.temperature,
                limit,
            )
        rollouts = [rollout for group in sampled for rollout in group]
        cases = [self.cases[key] for key in prompts]
        decisions = [rollout.decisions for rollout in rollouts]
        earned = self.reward_options
        steps = decision_rewards(
            list(map(self._relevance, prompts)),
            decisions,
            self.rollout_options.method,
            cast(Reward, earned.reward),
            earned.ndcg_cutoff,
        )
        relevance = [c.relevance for c in cases]
        orders = [
            list(order_of(self.method(len(c.candidates)), d)) for c, d in zip(cases, decisions, strict=True)
        ]
        return {
            "prompt_ids": [to_ids(self._segments(key)) for key in prompts],
            "completion_ids": decisions,
            "logprobs": [rollout.logps for rollout in rollouts],
            "steps": steps,
            "reward": [sum(row) for row in steps],
            "ndcg": ndcgs(relevance, orders).tolist(),
            "mrr": reciprocal_ranks(relevance, orders).tolist(),
        }

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's, with one advantage a decision: [B, T] in place of [B]."""
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        steps = gather_object([row["steps"] for row in inputs])
        scale = cast(Scale, self.scale_rewards)
        table = advantages(steps, self.args.num_generations, self.reward_options.gamma, scale)
        first, width = self.accelerator.process_index * len(inputs), output["completion_ids"].shape[1]
        own = torch.from_numpy(table[first : first + len(inputs), :width])
        output["advantages"] = own.to(output["completion_ids"].device, torch.float32)
        # TRL shuffles the rollouts next. Data loaders draw from the same generator, and a resumed run starts
        # them at other moments: seeded by the step, the sums are taken in the same order either way.
        self.seed_step()
        return output

    # ---- re-scoring

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """TRL's hook, by packed forwards in the model's own attention mode. The ids carry all structure."""
        split = input_ids.shape[1] - logits_to_keep
        prompts: dict[tuple[int, ...], int] = {}
        rows = []
        for ids, mask in zip(input_ids.tolist(), attention_mask.tolist(), strict=True):
            prompt = tuple(t for t, real in zip(ids[:split], mask[:split], strict=True) if real)
            decisions = tuple(t for t, real in zip(ids[split:], mask[split:], strict=True) if real)
            rows.append(Row(prompts.setdefault(prompt, len(prompts)), decisions))
        with self.accelerator.autocast():
            logps, entropies = score(
                model,
                [from_ids(prompt) for prompt in prompts],
                rows,
                self.method,
                self.policy.settings.attention,
                self.temperature,
                input_ids.device,
                Attends(is_encoder(self.policy.lm.config), self.policy.settings.context_bias),
            )
        short = logits_to_keep - logps.shape[1]
        logps = torch.nn.functional.pad(logps, (0, short))
        return logps, torch.nn.functional.pad(entropies, (0, short)) if compute_entropy else None, None

    # ---- optimisation, evaluation, checkpoints

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """TRL's, with a group of its own and a slower rate for the pointer's bilinear weights."""
        fresh = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        slow = [p for name, p in self.model.named_parameters() if name.endswith(f"{HEAD}.W")]
        if fresh and slow and slow[0].requires_grad:
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if p is not slow[0]]
            own = {"params": slow, "lr": self.args.learning_rate * BILINEAR_RATE, "weight_decay": 0.0}
            optimizer.add_param_group(own)
        return optimizer

    @torch.no_grad()
    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """MRR and NDCG@10 of the policy's own rankings, per task and over tasks; rows of one query count once."""
        metrics: dict[str, float] = {}
        for task, cases in self.held_out.items():
            with self.accelerator.autocast():
                orders = self.engine.rank(cases, self.rollout_options.method)
            for name, measure in (("mrr", reciprocal_ranks), ("ndcg", ndcgs)):
                values = by_query(map(query_key, cases), measure([c.relevance for c in cases], orders))
                metrics[f"{metric_key_prefix}_{name}/{task}"] = float(np.mean(list(values.values())))
        for name in ("mrr", "ndcg"):
            mean = np.mean([metrics[f"{metric_key_prefix}_{name}/{task}"] for task in self.held_out])
            metrics[f"{metric_key_prefix}_{name}"] = float(mean)
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        folder = output_dir or self.args.output_dir
        assert folder is not None  # the configuration has a default
        if self._is_peft():
            super()._save(folder, state_dict)
            return
        language, head = split_head(state_dict or self.accelerator.unwrap_model(self.model).state_dict())
        super()._save(folder, language)
        if self.args.should_save:
            save_beside(self.policy, head, folder, method=self.rollout_options.method)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._load_head(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._load_head(self.state.best_model_checkpoint)

    def _load_head(self, checkpoint: str | Path) -> None:
        """transformers reads back the language model alone. Adapters' checkpoints have no file of the head's."""
        path = Path(checkpoint) / HEAD_FILE
        if path.exists():
            getattr(self.policy.lm, HEAD).load_state_dict(load_file(path))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """TRL's, less what it says about end-of-text tokens: decisions have none."""
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name in [n for n in metrics if "terminated" in n or "clipped_ratio" in n]:
            del metrics[name]
        super().log(logs, start_time)


def _full_weights(trainer: GRPOTrainer) -> Any:
    """FSDP shards weights; the engine needs them whole."""
    if not trainer.is_fsdp_enabled:
        return nullcontext()
    from torch.distributed.fsdp import FullyShardedDataParallel

    return FullyShardedDataParallel.summon_full_params(trainer.model_wrapped, recurse=False)
