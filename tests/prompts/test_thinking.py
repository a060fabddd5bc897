"""Thoughts in the model's own tags: switched on, or closed before the answer, as its chat template wants it."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.text import TextFormat
from rranker.prompts.thinking import ThinkingFormat
from tests.prompts.test_chat import ALWAYS_THINKS, DEEPSEEK_R1, LLAMA3, MISTRAL, QWEN3
from tests.support.toy_tokenizers import train

MAGISTRAL = (
    "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}{# thoughts: [THINK] … [/THINK] #}"
)
PASSAGE = TEMPLATES["passage"]


def encoder_of(template):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=train(), bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = template
    return TextEncoder(tokenizer)


@pytest.mark.parametrize(
    ("template", "opened", "closed"),
    [
        (QWEN3, "<think>\n", "</think>"),
        (ALWAYS_THINKS, "<think>\n", "</think>"),
        (DEEPSEEK_R1, "<think>\n", "</think>"),
        (LLAMA3, "<think>\n", "</think>"),
        (MISTRAL, "<think>\n", "</think>"),
        (MAGISTRAL, "[THINK]\n", "[/THINK]"),
        (None, "<think>\n", "</think>"),
    ],
)
def test_a_thought_is_opened_once_and_closed_before_the_answer(template, opened, closed):
    encoder = encoder_of(template)
    thinking = ThinkingFormat(encoder)
    suffix = encoder.decode(thinking.suffix(PASSAGE, "exclude"))
    assert suffix.endswith(opened)
    asked = suffix.partition("Then name")[2]  # behind the words that speak of the tags
    assert asked.count(opened.strip()) == 1
    ends = thinking.ends(PASSAGE, "exclude")
    answer = "\n\nThe least relevant passage: ["
    assert encoder.decode(ends.closed) == answer
    assert encoder.decode(ends.unclosed) == f"\n{closed}{answer}"


@pytest.mark.parametrize("template", [QWEN3, ALWAYS_THINKS, DEEPSEEK_R1])
def test_without_reasoning_no_thought_is_open_where_the_answer_is_read(template):
    encoder = encoder_of(template)
    suffix = encoder.decode(TextFormat(encoder).suffix(PASSAGE, "exclude"))
    assert suffix.count("<think>") == suffix.count("</think>") == 1
    assert suffix.endswith("The least relevant passage: [")


def test_the_question_is_the_methods():
    encoder = encoder_of(QWEN3)
    words = [encoder.decode(ThinkingFormat(encoder).suffix(PASSAGE, kind)) for kind in ("exclude", "select")]
    assert "by its letter, the least relevant passage." in words[0]
    assert "by its letter, the most relevant passage." in words[1]
