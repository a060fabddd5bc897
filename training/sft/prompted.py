"""Supervised training of a language model as it is, by its own head, in the very prompts that `Ranker` gives it.

What is learnt is a method's question: whom to exclude or to select, of a list and of nested parts of it, where
candidates are named by identifiers; or, of each candidate alone, whether it fits or how probable it makes the query,
compared over the list. Either all weights learn, or low-rank adapters do.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from rranker.engine.loading.settings import AttentionMode
from rranker.methods import method_class
from rranker.prompts.segments import POINTWISE, Segments
from rranker.training.examples.example import Example
from rranker.training.packing.batch import COPIES, Taught, alive_sets
from rranker.training.packing.budget import candidates_that_fit
from rranker.training.packing.causal import prefix_sizes
from rranker.training.packing.questions import Question, pack
from rranker.training.policy.adapters import with_adapters
from rranker.training.policy.network import Policy, load_policy, save_policy
from rranker.training.policy.prompts import Prompts
from rranker.training.sft.loss import (
    cross_entropy,
    entropy,
    excluded_loss,
    reciprocal_rank,
    targets,
    worst_targets,
)


@dataclass(frozen=True)
class QuestionBatch(Taught):
    """Lists with what is asked about each. Prompts stay where they are until they are packed, on any device."""

    questions: tuple[Question, ...]
    alive: Tensor  # [B, S, N] bool

    @property
    def tokens(self) -> int:
        """Rows of its forward, where nothing is encoded twice."""
        return sum(_tokens(question) for question in self.questions)


def _tokens(question: Question) -> int:
    segments = question.segments
    asked = 0 if segments.targets else len(segments.suffix) * len(question.subsets)
    return len(segments.prefix) + sum(_lengths(segments)) + asked


def _lengths(segments: Segments) -> list[int]:
    """What each candidate takes; where it is asked about alone, with the question."""
    each = len(segments.suffix) + len(segments.targets) if segments.targets else 0
    return [len(candidate) + each for candidate in segments.candidates]


class PromptedModel(nn.Module):
    """A language model that learns from lists: all weights (`lora_rank` 0), or adapters of that rank alone."""

    def __init__(self, policy: Policy, method: str, lora_rank: int = 0) -> None:
        super().__init__()
        self.policy, self.method, self.lora_rank = policy, method, lora_rank
        self.kind = method_class(method).kind
        self.lm = policy.lm
        if lora_rank:
            self.lm = with_adapters(policy.lm, lora_rank)
        self._prompts = dict[int, Prompts]()

    @property
    def attention(self) -> AttentionMode:
        """What a candidate sees."""
        return self.policy.settings.attention

    def logits(self, questions: Sequence[Question], device: torch.device) -> list[Tensor]:
        """What is said of all candidates of each question, [S, n], in fp32: see `answers`.

        Likelihoods are summed here, not averaged over the query's tokens as in ranking: by Bayes' rule their softmax
        over the candidates is who the query was about, were all as likely before.
        """
        found: list[Tensor] = self.lm(packed=pack(questions, self.kind, self.attention, device))
        if self.kind != "likelihood":
            return found
        return [row * len(asked.segments.targets) for row, asked in zip(found, questions, strict=True)]

    def question(self, example: Example, rng: np.random.Generator, candidate_tokens: int) -> Question:
        """The whole list, then nested parts of it: of any candidates in block attention, else of the first ones.

        A pointwise method is asked about the whole list alone, as no candidate sees another.
        Raises ValueError, naming the list, when its prompt does not fit the model's context.
        """
        prompts = self._prompts.get(candidate_tokens)
        if prompts is None:
            policy = self.policy
            prompts = Prompts(
                policy.tokenizer, policy.settings, policy.context, max_candidate=candidate_tokens
            )
            self._prompts[candidate_tokens] = prompts
        case = example.ranking
        try:
            segments = prompts.segments(case, self.kind)
        except ValueError as error:
            raise ValueError(f"list {case.id!r} cannot be learnt from: {error}") from error
        if self.kind in POINTWISE:
            sets = [tuple(range(len(segments.candidates)))]
        elif self.attention == "block":
            sets = [tuple(row.nonzero()[:, 0].tolist()) for row in alive_sets(case.relevance, rng)]
        else:
            sets = [tuple(range(size)) for size in prefix_sizes(case.relevance, COPIES, rng)]
        return Question(segments, tuple(dict.fromkeys(sets)))

    def batch(
        self, examples: Sequence[Example], rng: np.random.Generator, budget: int, candidate_tokens: int
    ) -> QuestionBatch:
        """As many of `examples` as fit `budget` tokens: at least one, or part of one."""
        questions, kept, total = list[Question](), list[Example](), 0
        for example in examples:
            question = self.question(example, rng, candidate_tokens)
            if not questions:
                example, question = self._part(example, question, rng, budget, candidate_tokens)
            total += _tokens(question)
            if questions and total > budget:
                break
            questions.append(question)
            kept.append(example)
        return collate(questions, kept)

    def _part(
        self,
        example: Example,
        question: Question,
        rng: np.random.Generator,
        budget: int,
        candidate_tokens: int,
    ) -> tuple[Example, Question]:
        """As much of a list as fits. Fewer candidates are cut less, so that it may take several turns."""
        while _tokens(question) > budget and len(question.segments.candidates) > 2:
            lengths = _lengths(question.segments)
            around = _tokens(question) - sum(lengths)
            kept = candidates_that_fit(example.ranking.relevance, lengths, around, budget, rng, padded=False)
            example = example.part(kept)
            question = self.question(example, rng, candidate_tokens)
        return example, question


def collate(questions: Sequence[Question], examples: Sequence[Example]) -> QuestionBatch:
    """Pads the targets of a question each to one shape; a copy that a question lacks has nobody alive."""
    most = max(len(question.subsets) for question in questions)
    width = max(len(question.segments.candidates) for question in questions)
    alive = torch.zeros(len(questions), most, width, dtype=torch.bool)
    for row, question in zip(alive, questions, strict=True):
        for copy_, subset in zip(row, question.subsets, strict=False):
            copy_[list(subset)] = True
    relevance = [torch.tensor(example.ranking.relevance, dtype=torch.float32) for example in examples]
    scores = [
        torch.as_tensor(np.asarray(example.teacher_scores), dtype=torch.float32) for example in examples
    ]
    return QuestionBatch(
        tuple(questions),
        alive,
        relevance=pad_sequence(relevance, batch_first=True),
        teacher_scores=pad_sequence(scores, batch_first=True),
        teacher_weight=torch.tensor([example.teacher_weight for example in examples]),
    )


def question_loss(model: PromptedModel, batch: QuestionBatch) -> tuple[Tensor, float, float]:
    """As `list_loss`, of a language model: every copy asks the method's question."""
    logits = model.logits(batch.questions, batch.alive.device)
    copies, width = batch.alive.shape[1:]
    sign = -1.0 if model.kind == "exclude" else 1.0
    fitness = torch.stack(
        [pad(sign * named, (0, width - named.shape[1], 0, copies - named.shape[0])) for named in logits]
    )
    fitness = fitness.masked_fill(~batch.alive, -torch.inf)
    ranks = reciprocal_rank(fitness[:, 0], batch.relevance)
    asked = batch.alive.any(-1)
    given = batch.relevance, batch.teacher_scores, batch.teacher_weight, batch.alive
    fitness, best = fitness[asked], targets(*given)[asked]
    if model.kind != "exclude":
        losses, least = cross_entropy(fitness, best), entropy(best)
    else:
        worst = worst_targets(*given)[asked]
        losses, least = excluded_loss(fitness, best, worst), 0.5 * (entropy(best) + entropy(worst))
    loss = losses.mean()
    return loss, float(loss.detach() - least.mean()), ranks


def load_prompted_model(
    folder: str | Path, attention: AttentionMode, method: str, lora_rank: int = 0
) -> PromptedModel:
    """Any causal language model, to be trained in this attention mode. Raises what `load_policy` raises."""
    policy = load_policy(folder)
    settings = replace(policy.settings, attention=attention)
    return PromptedModel(replace(policy, settings=settings), method, lora_rank)


def save_prompted_model(model: PromptedModel, folder: str | Path, dtype: torch.dtype | None = None) -> None:
    """A folder that `Ranker` loads, with adapters merged into a copy of the weights in fp32; training may go on.

    `dtype`: of its weights; None leaves them as they are.
    """
    policy = model.policy
    if model.lora_rank:
        policy = replace(policy, lm=copy.deepcopy(model.lm).float().merge_and_unload())
    save_policy(policy, folder, dtype, model.method)
