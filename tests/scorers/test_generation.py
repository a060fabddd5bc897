"""Rankings with thoughts: what is thought stands in every round, and equals a plain loop over transformers."""

from __future__ import annotations

import json

import pytest
import torch
import transformers as t

from rranker import Ranker, rank
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.r1_answers import match
from rranker.prompts.r1_ranker import R1RankerFormat, Shown
from rranker.prompts.thinking import ThinkingFormat
from tests.prompts.test_chat import QWEN3
from tests.support.checkpoints import save_checkpoint, small_tokenizer
from tests.support.generation_reference import generated
from tests.support.samples import QUERY, TEXTS

THINK = 12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The architecture and the chat template of the published checkpoints (Qwen2.5), in small, with random weights."""
    return save_checkpoint(tmp_path_factory.mktemp("qwen2"), "qwen2", small_tokenizer())


@pytest.fixture(scope="module")
def alone(checkpoint):
    """The same model by transformers alone."""
    return t.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


def ranker_of(checkpoint, **settings):
    return Ranker(checkpoint, dtype="float32", kv_cache_tokens=8000, reasoning=True, **settings)


@pytest.fixture(scope="module")
def ranker(checkpoint):
    with ranker_of(checkpoint, max_think_tokens=THINK, relayout="keep", method="iranker") as made:
        yield made


@pytest.fixture(scope="module")
def written(checkpoint):
    with ranker_of(checkpoint, max_think_tokens=THINK, format="r1_ranker") as made:
        yield made


def thought_loop(lm, tokenizer, texts, alive):
    """One round: (thought, who is excluded), each from whole prompts."""
    from rranker.prompts import TEMPLATES

    encoder, template = TextEncoder(tokenizer), TEMPLATES["passage"]
    words, identifiers = ThinkingFormat(encoder), Identifiers(encoder).first(len(texts))
    parts = words.candidates(texts, list(identifiers))
    prompt = [*words.prefix(template, None, QUERY).ids]
    prompt += [i for place in alive for i in parts[place].ids]
    prompt += words.suffix(template, "exclude")
    end = {tokenizer.eos_token_id, lm.config.eos_token_id, lm.generation_config.eos_token_id}
    thought = generated(lm, prompt, THINK, sorted(end))
    prompt += [*thought, *words.ends(template, "exclude").unclosed]
    with torch.no_grad():
        logits = lm(torch.tensor([prompt])).logits[0, -1]
    return tokenizer.decode(thought).strip(), max(alive, key=lambda place: logits[identifiers[place]])


def test_every_round_is_what_a_plain_loop_thinks_and_excludes(ranker, checkpoint, alone):
    tokenizer = t.AutoTokenizer.from_pretrained(checkpoint)
    ranking = ranker.rank(QUERY, TEXTS, template="passage")
    alive = list(range(len(TEXTS)))
    for played in ranking.rounds:
        assert list(played.alive) == alive
        thought, loser = thought_loop(alone, tokenizer, TEXTS, alive)
        assert played.thought == thought
        assert played.excluded == (loser,)
        alive.remove(loser)
    assert len(ranking.rounds) == 4
    assert ranking.order[0] == alive[0]


def test_thoughts_are_streamed_kept_and_written_out(ranker):
    with ranker.stream(QUERY, TEXTS) as stream:
        rounds = list(stream)
    assert rounds == list(stream.ranking.rounds)
    saved = json.loads(json.dumps(stream.ranking.to_dict()))
    assert [played["thought"] for played in saved["rounds"]] == [played.thought for played in rounds]
    assert all(rounds[i].thought for i in range(4))
    stats = stream.ranking.stats
    assert stats.tokens_encoded < stats.tokens_naive


def test_a_batch_thinks_as_each_query_alone(checkpoint):
    queries = [(f"{QUERY} {place}", TEXTS[: 2 + place]) for place in range(4)]
    with ranker_of(
        checkpoint, max_think_tokens=8, temperature=1.0, top_p=0.9, seed=3, method="dranker"
    ) as ranker:
        together = ranker.rank_batch(queries, progress=False)
        alone = [ranker.rank(query, texts) for query, texts in queries]
    assert [r.rounds[0].thought for r in together] == [r.rounds[0].thought for r in alone]
    assert [r.order for r in together] == [r.order for r in alone]
    assert len({r.rounds[0].thought for r in together}) == 4


def test_top_k_and_other_methods_think_too(ranker):
    shortened = ranker.rank(QUERY, TEXTS, top_k=1)
    assert len(shortened.rounds) < 4
    assert all(played.thought is not None for played in shortened.rounds)
    chosen = ranker.rank(QUERY, TEXTS, method="selection", top_k=2)
    assert [len(played.selected) for played in chosen.rounds] == [1, 1]


def r1_loop(lm, tokenizer, texts):
    """R1-Ranker's own loop: whole prompts round by round; (thoughts, who went), in order."""
    from rranker.prompts import TEMPLATES

    encoder = TextEncoder(tokenizer)
    words = R1RankerFormat(encoder)
    end = sorted({tokenizer.eos_token_id, lm.config.eos_token_id, lm.generation_config.eos_token_id})
    alive, thoughts, gone = list(range(len(texts))), [], []
    most = max(len(encoder.user(f"passage {place}")) for place in alive) + 32
    while len(alive) > 1:
        shown = [Shown(place, texts[place]) for place in alive]
        prompt = list(words.prompt(TEMPLATES["passage"], None, QUERY, shown, order=False))
        thought = generated(lm, prompt, THINK, end)
        prompt += [*thought, *encoder.literal("</think> <answer>", inside=True)]
        answer = tokenizer.decode(generated(lm, prompt, most, end)).partition("</answer>")[0]
        loser = alive[match(answer, [f"passage {place}" for place in alive])[0]]
        thoughts.append(tokenizer.decode(thought).strip())
        gone.append(loser)
        alive.remove(loser)
    return thoughts, gone


def test_published_checkpoints_run_as_the_papers_loop(written, checkpoint, alone):
    ranking = written.rank(QUERY, TEXTS, template="passage")
    thoughts, gone = r1_loop(alone, t.AutoTokenizer.from_pretrained(checkpoint), TEXTS)
    assert [played.thought for played in ranking.rounds] == thoughts
    assert [played.excluded for played in ranking.rounds] == [(loser,) for loser in gone]
    assert {repair.kind for repair in ranking.repairs} <= {"substring", "closest"}
    assert ranking.repairs[0].message.startswith("round 1: ")


def test_one_shot_answers_in_words_become_a_whole_permutation(written):
    ranking = written.rank(QUERY, TEXTS, template="passage", method="dranker")
    assert sorted(ranking.order) == list(range(5))
    (played,) = ranking.rounds
    assert played.thought
    assert played.selected == tuple(ranking.order)


@pytest.mark.parametrize("template", ["recommendation", "routing", "generic"])
def test_written_answers_serve_every_template_streamed(written, template):
    query = ["Bees", "Hives"] if template == "recommendation" else "Bees"
    with written.stream(query, [*TEXTS[:3], TEXTS[0]], template=template) as stream:
        assert [len(played.excluded) for played in stream] in ([1, 1], [1, 2], [2, 1])
    assert sorted(stream.ranking.order) == [0, 1, 2, 3]


def test_without_reasoning_the_papers_format_closes_the_thought_at_once(checkpoint):
    with Ranker(checkpoint, dtype="float32", kv_cache_tokens=8000, format="r1_ranker") as ranker:
        ranking = ranker.rank(QUERY, TEXTS[:3])
    assert [played.thought for played in ranking.rounds] == ["", ""]


def test_long_candidates_are_cut_and_reported(tmp_path):
    folder = save_checkpoint(tmp_path, "qwen2", small_tokenizer(), max_position_embeddings=1200)
    texts = ["bees " * 400, "a short one", "flowers " * 300]
    with ranker_of(folder, max_think_tokens=8, format="r1_ranker") as ranker:
        ranking = ranker.rank(QUERY, texts)
        assert {r.index for r in ranking.repairs if r.kind == "truncated"} == {0, 2}
    with (
        ranker_of(folder, max_think_tokens=8, format="r1_ranker", truncate="error") as ranker,
        pytest.raises(ValueError, match="candidate 0 takes"),
    ):
        ranker.rank(QUERY, texts)


def test_thinking_models_think_when_asked_and_never_where_they_are_not(tmp_path):
    """By Qwen3's template: its own tags with reasoning; without, an empty thought is closed before the slot."""
    tokenizer = small_tokenizer()
    tokenizer.chat_template = QWEN3
    folder = save_checkpoint(tmp_path, "qwen3", tokenizer)
    with ranker_of(folder, max_think_tokens=6) as ranker:
        assert all(played.thought for played in ranker.rank(QUERY, TEXTS[:3]).rounds)
    with Ranker(folder, dtype="float32", kv_cache_tokens=8000, method="iranker") as ranker:
        ranking = ranker.rank(QUERY, TEXTS[:3])
    assert [played.thought for played in ranking.rounds] == [None, None]
    assert ranking.stats.tokens_generated == 0


@pytest.mark.parametrize(("prompts", "slots"), [("text", 450), ("r1_ranker", 700)])
def test_lists_that_do_not_fit_think_window_by_window(checkpoint, prompts, slots):
    texts = [f"{text} {number}" for number in range(3) for text in TEXTS]
    settings = {
        "dtype": "float32",
        "reasoning": True,
        "max_think_tokens": 4,
        "method": "iranker",
        "format": prompts,
    }
    with Ranker(checkpoint, kv_cache_tokens=slots, **settings) as ranker:
        ranking = ranker.rank(QUERY, texts)
    assert sorted(ranking.order) == list(range(15))
    assert "windowed" in {repair.kind for repair in ranking.repairs}
    assert all(played.thought is not None for played in ranking.rounds)


def test_the_function_takes_the_same_settings(checkpoint):
    ranking = rank(QUERY, TEXTS[:2], model=checkpoint, reasoning=True, max_think_tokens=3, dtype="float32")
    assert ranking.rounds[0].thought
    assert ranking.stats.tokens_generated == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reasoning": True}, "prompts without words"),
        ({"format": "r1_ranker"}, "leave format out"),
        ({"max_think_tokens": 5}, "pass reasoning=True"),
        ({"temperature": -1.0}, "temperature must be"),
        ({"format": "json"}, "format must be one of"),
    ],
)
def test_wrong_settings_say_what_to_do(settings, message):
    with pytest.raises(ValueError, match=message):
        Ranker(**settings)


def test_a_thought_that_does_not_fit_is_refused(checkpoint):
    with pytest.raises(ValueError, match="allow fewer"):
        ranker_of(checkpoint, max_think_tokens=2048)


@pytest.mark.parametrize("settings", [{}, {"reuse": "keep"}, {"attention_mode": "block"}])
def test_a_prompt_its_thought_and_what_opens_the_answer_fit_the_context(settings):
    """GPT-2's positions are a table: a token behind the last of them has no embedding."""
    tokenizer = small_tokenizer()
    size = {"n_positions": 320, "n_embd": 48, "n_layer": 2, "n_head": 4}
    lm = t.GPT2LMHeadModel(t.GPT2Config(vocab_size=len(tokenizer), **size))
    texts = ["quick brown fox jumps " * 60, "lazy dog " * 120, "the query " * 90]
    with Ranker(lm, tokenizer=tokenizer, reasoning=True, max_think_tokens=20, **settings) as made:
        ranking = made.rank(QUERY, texts, template="passage", method="iranker")
    assert [repair.kind for repair in ranking.repairs] == ["truncated"] * 3
    assert [len(played.alive) for played in ranking.rounds] == [3, 2]


def test_methods_that_ask_about_one_candidate_do_not_think(ranker, written):
    for made in (ranker, written):
        with pytest.raises(ValueError, match="use iranker"):
            made.rank(QUERY, TEXTS, method="pointwise")


@pytest.mark.pretrained
def test_smollm2_thinks_in_sentences_and_every_answer_is_valid(smollm2):
    with Ranker(
        smollm2, dtype="float32", kv_cache_tokens=8000, reasoning=True, max_think_tokens=16
    ) as ranker:
        ranking = ranker.rank(QUERY, TEXTS[:3], template="passage")
    assert sorted(ranking.order) == [0, 1, 2]
    assert all(len(played.thought.split()) > 2 for played in ranking.rounds)
    settings = {"format": "r1_ranker", "max_think_tokens": 8}
    with Ranker(smollm2, dtype="float32", kv_cache_tokens=8000, reasoning=True, **settings) as ranker:
        ranking = ranker.rank(QUERY, TEXTS[:3], template="passage")
    assert sorted(ranking.order) == [0, 1, 2]
    assert all(len(played.thought.split()) > 2 for played in ranking.rounds)
