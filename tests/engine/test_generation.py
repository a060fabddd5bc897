"""What the engine writes is what transformers' `generate` writes, alone and in a crowd, with and without drafts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as t

from rranker.engine.engine import Engine
from rranker.engine.errors import CapacityError
from rranker.engine.generation import Continuation, Sampling, Stretch, TextRequest, Writing
from rranker.engine.generation.sampler import Choice, distribution
from rranker.engine.loading.pointer_head import load_pointer
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.transfer import Transfer
from rranker.methods import Elimination, Greedy
from tests.support.architectures import CONFIGS, VOCAB, tiny_model
from tests.support.checkpoints import TINY_START
from tests.support.engine_steps import problem
from tests.support.generation_reference import generated

SLOTS = 1500
END = frozenset([2])


def prompts_of(seed, count=5):
    rng = np.random.default_rng(seed)
    return [rng.integers(3, VOCAB, size=int(n)).tolist() for n in rng.integers(1, 60, count)]


def request_of(prompt, most=24, *, drafts=True, sampling=None, seeds=(0,), **stretch):
    writing = Writing((Stretch(most, **stretch),), END, sampling or Sampling(), drafts)
    return TextRequest(Continuation(prompt), writing, seeds)


def texts_of(engine, requests):
    for handle in engine.run(requests):
        assert handle.status == "finished", handle.error
    return [[list(text.tokens) for text in request.author.texts] for request in requests]


@pytest.fixture(scope="module")
def lm():
    return tiny_model("qwen3")


@pytest.fixture
def engine(lm):
    made = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=SLOTS)
    yield made
    assert made.runner.kv_cache.allocator.free == SLOTS


@pytest.mark.parametrize("name", CONFIGS)
def test_together_they_write_what_generate_writes_alone(name):
    lm = tiny_model(name)
    prompts = prompts_of(0)
    expected = [[generated(lm, prompt, 24, END)] for prompt in prompts]
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=SLOTS)
    for drafts in (False, True):
        assert texts_of(engine, [request_of(p, drafts=drafts) for p in prompts]) == expected


def test_drafts_save_passes_and_change_nothing(engine, lm):
    """A model that repeats itself is guessed right; the handle says how often."""
    prompt = [5, 6, 7, 8] * 8
    plain, drafted = request_of(prompt, 60, drafts=False), request_of(prompt, 60)
    handles = {id(handle.request): handle for handle in engine.run([plain, drafted])}
    assert plain.author.texts == drafted.author.texts
    guessed, taken = handles[id(drafted)].state.drafted
    assert 0 < taken <= guessed
    assert handles[id(drafted)].passes == handles[id(plain)].passes - taken
    assert handles[id(plain)].state.drafted == (0, 0)


def test_a_crowd_with_rankings_among_it_changes_nobody(engine, lm):
    """Requests join between steps, texts and rankings share passes, and the room is less than all need."""
    prompts = prompts_of(1, 40)
    texts = [request_of(prompt) for prompt in prompts]
    assert sum(request.stored_tokens("causal") for request in texts) > SLOTS
    ranked = [EngineRequest(problem(seed), Greedy(Elimination(6), nested=True)) for seed in range(8)]
    handles = [engine.submit(request) for pair in zip(texts[:8], ranked, strict=True) for request in pair]
    for request in texts[8:]:
        engine.step()
        handles.append(engine.submit(request))
    while not all(handle.done for handle in handles):
        engine.step()
    assert [handle.error for handle in handles] == [None] * len(handles)
    for prompt, request in zip(prompts, texts, strict=True):
        assert list(request.author.texts[0].tokens) == generated(lm, prompt, 24, END)
    for seed, request in enumerate(ranked):
        alone = EngineRequest(problem(seed), Greedy(Elimination(6), nested=True))
        list(engine.run([alone]))
        assert request.method.outcome().order == alone.method.outcome().order


def test_half_of_them_cancelled_half_way_harms_nobody_and_returns_every_slot(engine, lm):
    prompts = prompts_of(2, 12)
    requests = [request_of(prompt) for prompt in prompts]
    handles = [engine.submit(request) for request in requests]
    for handle in handles[::2]:
        engine.step()
        engine.cancel(handle)
    while not all(handle.done for handle in handles):
        engine.step()
    for prompt, request, handle in list(zip(prompts, requests, handles, strict=True))[1::2]:
        assert handle.status == "finished"
        assert list(request.author.texts[0].tokens) == generated(lm, prompt, 24, END)


def test_texts_of_one_prompt_encode_it_once(engine):
    prompt = prompts_of(3)[0] * 3
    hot = Sampling(temperature=1.0)
    together = request_of(prompt, sampling=hot, seeds=(0, 1, 2, 3))
    (handle,) = engine.run([together])
    written = sum(len(text.tokens) for text in together.author.texts)
    assert handle.tokens_encoded <= len(prompt) + written
    alone = [request_of(prompt, sampling=hot, seeds=(seed,)) for seed in range(4)]
    assert [list(t.tokens) for t in together.author.texts] == [one for (one,) in texts_of(engine, alone)]
    assert len({text.tokens for text in together.author.texts}) == 4


class Turns:
    """Three prompts, each of which begins as the one before and what was written behind it."""

    def __init__(self, prompt, lengths=(3, 5)):
        self.prompts, self.lengths, self.texts = [list(prompt)], list(lengths), []
        self.count = 1 + len(lengths)

    @property
    def remaining(self):
        return self.count - len(self.texts)

    def prompt(self):
        return self.prompts[-1]

    def observe(self, texts):
        (text,) = texts
        self.texts.append(list(text.tokens))
        if self.lengths:
            kept = [*self.prompts[-1], *text.tokens[: self.lengths[0]]]
            self.prompts.append([*kept, *range(30, 30 + self.lengths.pop(0))])


def test_a_prompt_is_encoded_from_the_first_token_on_that_is_new(engine, lm):
    author = Turns(prompts_of(4)[0])
    request = TextRequest(author, Writing((Stretch(10),), END, drafts=False), longest=100)
    (handle,) = engine.run([request])
    assert handle.status == "finished", handle.error
    assert author.texts == [generated(lm, prompt, 10, END) for prompt in author.prompts]
    assert handle.tokens_encoded < sum(map(len, author.prompts)) / 2 + sum(map(len, author.texts))


def test_a_prompt_that_outgrows_its_room_fails_its_request_and_says_so(engine):
    author = Turns(prompts_of(4)[0], lengths=(9, 9))
    fine = request_of([5, 6, 7])
    handles = {
        id(h.request): h for h in engine.run([TextRequest(author, Writing((Stretch(10),), END)), fine])
    }
    assert handles[id(fine)].status == "finished"
    (failed,) = [handle for handle in handles.values() if handle.error is not None]
    assert "`longest`" in str(failed.error)


def test_an_error_of_what_ends_a_text_is_its_own_requests(engine, lm):
    """The others are in the middle of their texts, at their ends, and in rankings; no pass is made again for them."""

    def faulty(tokens):
        if len(tokens) == 3:
            raise RuntimeError("a fault in what ends a text")
        return False

    prompts = prompts_of(8)
    texts = [request_of(prompt, most) for prompt, most in zip(prompts, (3, 2, 4, 9, 3), strict=True)]
    bad = request_of(prompts[0], ended=faulty)
    requests = [*texts[:2], bad, EngineRequest(problem(0), Greedy(Elimination(6), nested=True)), *texts[2:]]
    handles = {id(handle.request): handle for handle in engine.run(requests)}
    assert str(handles.pop(id(bad)).error) == "a fault in what ends a text"
    assert [handle.error for handle in handles.values()] == [None] * 6
    for prompt, request in zip(prompts, texts, strict=True):
        most = request.writing.stretches[0].most
        assert list(request.author.texts[0].tokens) == generated(lm, prompt, most, END)
        assert handles[id(request)].tokens_encoded <= len(prompt) + most


def test_stretches_end_by_their_sign_their_bound_or_the_turns_end(engine, lm):
    prompt = prompts_of(5)[1]
    plain = generated(lm, prompt, 12)
    sign = plain[4]
    first = plain.index(sign) + 1
    closing = Stretch(12, ended=lambda tokens: tokens[-1] == sign, closed=(9, 10), cut=(11,))
    bounded = Stretch(3, cut=(11, 12))
    request = TextRequest(Continuation(prompt), Writing((closing, bounded)))
    (written,) = texts_of(engine, [request])[0]
    assert written[:first] == plain[:first]
    assert written[first : first + 2] == [9, 10]
    then = generated(lm, [*prompt, *written[: first + 2]], 3)
    assert written[first + 2 :] == [*then, 11, 12]
    (text,) = request.author.texts
    assert text.stretches == (tuple(plain[:first]), tuple(then))
    assert text.ends == ("closed", "bound")

    ends = TextRequest(Continuation(prompt), Writing((closing, bounded), frozenset([plain[2]])))
    (written,) = texts_of(engine, [ends])[0]
    assert written[:3] == [*plain[:2], 11]  # the turn's end is left out, and its stretch closed
    assert ends.author.texts[0].ends[0] == "turn"


def test_top_p_draws_from_what_transformers_keeps():
    torch.manual_seed(0)
    logits = torch.randn(6, 50) * 3
    sampling = Sampling(temperature=0.7, top_p=0.8)
    warped = t.TopPLogitsWarper(0.8)(None, t.TemperatureLogitsWarper(0.7)(None, logits))
    torch.testing.assert_close(distribution(logits, sampling), warped.softmax(-1))


def test_drawn_tokens_follow_the_distribution():
    logits = torch.tensor([[0.0, 1.0, 2.0, -9.0]])
    sampling = Sampling(temperature=1.0, top_p=0.95)
    draws = ((np.arange(4000) + 0.5) / 4000).tolist()
    cpu = Transfer(torch.device("cpu"))
    tokens = Choice([sampling] * 4000, draws, cpu)(logits.expand(4000, -1))
    shares = np.bincount(tokens, minlength=4) / 4000
    np.testing.assert_allclose(shares, distribution(logits, sampling)[0].numpy(), atol=1e-3)
    assert Choice([sampling], [1 - 1e-12], cpu)(logits).tolist() != [3]


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"top_p": 0}, {"top_p": 1.1}]
)
def test_wrong_sampling_is_refused(wrong):
    with pytest.raises(ValueError, match="must be a number"):
        Sampling(**wrong)


def test_whoever_cannot_write_is_told_at_the_door(lm):
    small = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=30)
    with pytest.raises(CapacityError):
        small.submit(request_of([5] * 10, most=24))
    pointer = Engine(
        lm, load_pointer(TINY_START, 128, torch.device("cpu")), attention_mode="causal", kv_cache_tokens=300
    )
    with pytest.raises(ValueError, match="writes no text"):
        pointer.submit(request_of([5] * 10))
    with pytest.raises(ValueError, match="at least one token"):
        request_of([])


@pytest.mark.pretrained
def test_smollm2_writes_what_generate_writes(smollm2):
    tokenizer = t.AutoTokenizer.from_pretrained(smollm2)
    questions = [
        "Name three colours.",
        "Why do bees dance?",
        "Write a sentence about rain.",
        "What is 2 + 2?",
    ]
    prompts = [
        tokenizer.apply_chat_template([{"role": "user", "content": q}], add_generation_prompt=True)[
            "input_ids"
        ]
        for q in questions
    ]
    lm = t.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32).eval()
    end = frozenset([tokenizer.eos_token_id])
    expected = [generated(lm, prompt, 32, end) for prompt in prompts]
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=2000)
    requests = [TextRequest(Continuation(p), Writing((Stretch(32),), end)) for p in prompts]
    assert [texts[0] for texts in texts_of(engine, requests)] == expected
