"""Cases to learn from by reward: windows of histories, routed queries, judged passages, by task name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from rranker import data
from rranker.data import Interactions, Question, RankingExample
from rranker.data.recommendation import EARLY
from rranker.data.splits import Split, in_validation
from rranker.data.table import library
from rranker.training.examples.routing import Routing
from rranker.training.grpo.arguments import OWN, DataArguments, EvaluationArguments
from rranker.training.grpo.config import GrpoConfig

QUESTIONS: dict[str, Callable[[], list[Question]]] = {
    "squad": lambda: data.squad()[0],
    "classic": lambda: data.cranfield() + data.cacm(),
    "questions": lambda: [q for name in data.COLLECTIONS for q in data.collection_questions(name)],
}


def cases_of(name: str, split: Split, count: int, options: DataArguments, seed: int) -> list[RankingExample]:
    """Up to `count` cases of a task's split (not the test), in an order that is already shuffled.

    Names: the nine tasks; `routing`, routed queries under all three settings, among models at other prices and under
    other names, too; `squad`, `classic` (Cranfield, CACM) and `questions` (the collections), lists of seven passages;
    and `own`, the rows of the user's files.
    """
    rng = np.random.default_rng([seed, crc32(name.encode())])
    if name == OWN:
        rows = data.own_examples(options.data, options.validation)[split == "validation"]
        return [rows[i] for i in rng.permutation(len(rows))[:count]]
    if name in data.INTERACTIONS:
        histories = data.INTERACTIONS[name](None)
        users = sorted(histories.validation_users) if split == "validation" else histories.train_users
        return [_window(histories, users, options, rng) for _ in range(count)]
    if name == "routing":
        known, _ = data.routerbench()
        routes = [row for row in known if in_validation(row.query) == (split == "validation")]
        source = Routing(routes, data.max_cost(known))
        return [source.draw(rng).ranking for _ in range(count)]
    if name in QUESTIONS:
        questions = QUESTIONS[name]()
        kept = [q for q in questions if in_validation(q.text) == (split == "validation")]
        return data.question_cases(kept, 7, limit=count, seed=seed)
    if name.startswith("passage-"):
        topics = data.topics(split)
        draws = -(-count // len(topics))
        cases = data.passage_cases(topics, int(name.removeprefix("passage-")), draws=draws, seed=seed)
    else:
        cases = data.task_cases(name, split)
    return [cases[i] for i in rng.permutation(len(cases))[:count]]


def _window(
    histories: Interactions, users: Sequence[int], options: DataArguments, rng: np.random.Generator
) -> RankingExample:
    """The items of one of `users` before a random moment, and the next one among 19 others."""
    items: tuple[int, ...] = ()
    while len(items) < 4:
        user = users[int(rng.integers(len(users)))]
        items = histories.histories[user]
    at = int(rng.integers(3, min(len(items), EARLY) if options.early else len(items)))
    samplers = ("uniform", "popular") if options.sampler == "mixed" else (options.sampler,)
    sampler: Any = samplers[int(rng.integers(len(samplers)))]
    pool = [items[at], *histories.negatives(items, 19, sampler, rng)]
    order = rng.permutation(len(pool))
    return RankingExample(
        task="recommendation",
        query=[histories.titles[i] for i in items[max(0, at - options.history) : at]],
        instruction=None,
        candidates=[histories.titles[pool[i]] for i in order],
        relevance=[float(i == 0) for i in order],
        id=f"{histories.name}-{user}@{at}",
    )


def mixture(options: DataArguments, seed: int, *, single: bool = False) -> dict[str, RankingExample]:
    """Prompt key → case, for the whole run; lists in which all are equally good teach nothing and are out.

    Where several tasks train, the cases of one that has too few come again, so that each has its share. `single`: each
    case is one of its sublists, for episodes of one decision.
    """
    result: dict[str, RankingExample] = {}
    weights = options.weights()
    for name, share in weights.items():
        count = max(1, round(options.cases * share))
        kept = [c for c in cases_of(name, "train", count, options, seed) if len(set(c.relevance)) > 1]
        if len(weights) > 1:
            kept = repeated(kept, count, np.random.default_rng([seed, crc32(name.encode()), 1]))
        if single:
            kept = [one_of_its_sublists(c, number, seed) for number, c in enumerate(kept)]
        result.update({f"{name}/{number}": case for number, case in enumerate(kept)})
    return result


def repeated(cases: Sequence[RankingExample], count: int, rng: np.random.Generator) -> list[RankingExample]:
    """`count` cases: pass after pass over them, as they come and then each in an order of its own; none of none."""
    result = list(cases)
    while cases and len(result) < count:
        result += [cases[i] for i in rng.permutation(len(cases))]
    return result[:count]


def one_of_its_sublists(case: RankingExample, number: int, seed: int) -> RankingExample:
    """The paper's single-turn setting: a best one among 1 … n-1 others, every size as often."""
    sublists = [c for c in data.iterative_cases([case], seed + number) if len(set(c.relevance)) > 1]
    return sublists[int(np.random.default_rng([seed, number]).integers(len(sublists)))]


def held_out(
    options: DataArguments, evaluation: EvaluationArguments, seed: int, *, single: bool = False
) -> dict[str, list[RankingExample]]:
    """Task → cases to evaluate on; see `EvaluationArguments.eval_split`. `single`: see `mixture`."""
    result = {}
    for name in evaluation.eval_tasks or options.weights():
        limit = evaluation.eval_cases
        if name == OWN and evaluation.eval_split == "test":
            raise ValueError("`own` has no test split: give --eval_split validation, or other --eval_tasks")
        if evaluation.eval_split == "validation":
            cases = cases_of(name, "validation", limit * 2, options, seed + 1)
            result[name] = [c for c in cases if len(set(c.relevance)) > 1][:limit]
            if name == OWN and not cases:
                raise ValueError(
                    "no query of --data falls into the tenth that is held out: give a --validation file, or "
                    "--eval_strategy no"
                )
        else:
            sampler: Any = "popular" if options.sampler == "popular" else "uniform"
            cases = data.task_cases(name, "test", sampler=sampler)
            result[name] = cases[:: max(1, len(cases) // limit)][:limit]
        if single:
            result[name] = [one_of_its_sublists(c, number, seed) for number, c in enumerate(result[name])]
    return result


def how_many_fit(kept: int, drawn: int, refusal: object) -> str:
    """How many of the drawn cases train, and what the first of the others was left out for (None: there are none)."""
    line = f"{kept} of {drawn} training cases fit"
    return line if refusal is None else f"{line}; the first that does not: {refusal}"


def optimiser_steps(prompts: int, config: GrpoConfig) -> int:
    """Those of a run: `max_steps`, or, where it is not above 0, what `num_train_epochs` take over so many prompts."""
    if config.max_steps > 0:
        return int(config.max_steps)
    assert config.generation_batch_size is not None  # TRL has set both
    assert config.steps_per_generation is not None
    generations = int(config.num_train_epochs * prompts) // (
        config.generation_batch_size // config.num_generations
    )
    micro_steps = generations * config.steps_per_generation * config.num_iterations
    return int(micro_steps // config.gradient_accumulation_steps)


def prompt_rows(keys: Iterable[str], config: GrpoConfig) -> Any:
    """A `datasets.Dataset` of prompt keys for the whole run, in the order they are used.

    Pass after pass, each in an order of its own. One epoch is the run, so that a resumed run has no sampler's state
    to restore. Raises ValueError where there are no keys.
    """
    assert config.generation_batch_size is not None  # TRL has set both
    assert config.steps_per_generation is not None
    chunk = config.generation_batch_size // config.num_generations
    micro_steps = config.max_steps * config.gradient_accumulation_steps
    passes, every = list(keys), config.steps_per_generation * config.num_iterations
    if not passes:
        raise ValueError("no training case is left: raise max_prompt_tokens, or name other tasks")
    if config.max_steps > 0:
        count = -(-micro_steps // every) * chunk
    else:
        count = int(config.num_train_epochs * len(passes)) // chunk * chunk
        config.num_train_epochs = 1
        if not count:
            raise ValueError(
                f"{len(passes)} training cases are less than a step of {chunk} takes: give max_steps"
            )
    rng, rows = np.random.default_rng(config.seed), list[str]()
    while len(rows) < count:
        rows += [passes[i] for i in rng.permutation(len(passes))]
    config.shuffle_dataset = False
    return library().Dataset.from_dict({"prompt": rows[:count]})
