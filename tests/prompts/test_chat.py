"""What chat templates put around a prompt. The templates here are the shapes of well-known ones, in short."""

import time

import pytest
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from rranker.prompts import TEMPLATES
from rranker.prompts.chat import chat_frame
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.text import TextFormat
from tests.support.toy_tokenizers import train

QWEN3 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
ALWAYS_THINKS = (  # Qwen3-Thinking: the thought is opened whatever is passed; a given answer has an empty one
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n</think>\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
DEEPSEEK_R1 = (  # thoughts of earlier turns are dropped, so no empty one is ever shown
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}"
    "{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% else %}{% set date_string = '26 Jul 2024' %}{% endif %}"
    "{% endif %}<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ date_string }}\n\n<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
CLOCK = (
    "{%- macro today() %}{{ strftime_now('%A, %-d %B %Y, %H:%M:%S') }}{% endmacro %}\n"
    "  {%- for m in messages %}{{ today() }} {{ m.content }}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>"
    "{{ m.content }}{{ '<|return|>' if m.role == 'assistant' else '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_GENERATION_PROMPT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)


def speaking(template, name="some/model"):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train(), bos_token="<|endoftext|>", eos_token="<|im_end|>", name_or_path=name
    )
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        (QWEN3, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (ALWAYS_THINKS, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n</think>\n"),
        (DEEPSEEK_R1, "<|endoftext|><｜User｜>", "<｜Assistant｜><think>\n\n</think>\n\n"),
        (GEMMA, "<|endoftext|><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"),
        (MISTRAL, "<|endoftext|>[INST] ", " [/INST] "),
        (PHI, "<|user|>\n", "<|end|>\n<|assistant|>\n"),
        (HARMONY, "<|start|>user<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
        (
            DEFAULT_SYSTEM,
            "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n",
            "<|im_end|>\n<|im_start|>assistant\n",
        ),
        (NO_GENERATION_PROMPT, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    ],
    ids=["qwen3", "always_thinks", "deepseek", "gemma", "mistral", "phi", "harmony", "system", "no_prompt"],
)
def test_the_answer_begins_where_the_model_would_begin_it(template, before, after):
    assert chat_frame(speaking(template)) == (before, after)


@pytest.mark.parametrize(
    ("opening", "closed"),
    [
        ("<think>", "<think>\n\n</think>\n\n"),
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<think>\nWell,", "<think>\nWell,\n</think>\n\n"),
        ("<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n"),
        ("[THINK]", "[THINK]\n\n[/THINK]\n\n"),
        ("<thinking>\n", "<thinking>\n\n</thinking>\n\n"),
    ],
)
def test_no_question_is_asked_inside_a_thought(opening, closed):
    template = "{% for m in messages %}{{ m.content }}|{% endfor %}{% if add_generation_prompt %}" + opening
    assert chat_frame(speaking(template + "{% endif %}")) == ("", "|" + closed)


def test_a_prompt_in_a_thinking_models_turn(encoders):
    """The suffix holds the closed thought, its tags being the tokens they are."""
    tokenizer = speaking(DEEPSEEK_R1)
    suffix = TextFormat(TextEncoder(tokenizer)).suffix(TEMPLATES["passage"], "exclude")
    assert tokenizer.decode(suffix).endswith("<think>\n\n</think>\n\nThe least relevant passage: [")
    opened, closed = tokenizer.convert_tokens_to_ids(["<think>", "</think>"])
    assert [i for i in suffix if i in (opened, closed)] == [opened, closed]


def test_the_day_does_not_change_the_prompt(monkeypatch):
    """The clock that transformers gives to templates is moved by hand: no frame follows it."""
    from transformers.utils import chat_template_utils

    days = []

    class Clock(chat_template_utils.datetime):
        @classmethod
        def now(cls, tz=None):
            days.append(1)
            return cls(2031, 3, len(days))

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    dateless = LLAMA3.replace("not date_string is defined", "true")
    for template in (LLAMA3, dateless, CLOCK):
        tokenizer = speaking(template)
        assert chat_frame(tokenizer) == chat_frame(tokenizer)
    assert "26 Jul 2024" in chat_frame(speaking(LLAMA3))[0]
    assert "26 Jul 2024" in chat_frame(speaking(dateless))[0]
    assert chat_frame(speaking(CLOCK))[0] == "Friday, 26 July 2024, 00:00:00 "
    assert not days
    turn = [{"role": "user", "content": "x"}]
    plain = speaking(dateless)
    assert plain.apply_chat_template(turn, tokenize=False) != plain.apply_chat_template(turn, tokenize=False)


def test_every_directive_of_the_frozen_clock_is_that_day():
    moment = time.struct_time((2024, 7, 26, 0, 0, 0, 4, 208, -1))
    for code in "aAbBdeHIjmMpSyYFDTXxc":
        tokenizer = speaking(
            "{% for m in messages %}{{ strftime_now('%" + code + "') }}|{{ m.content }}{% endfor %}"
        )
        assert chat_frame(tokenizer)[0] == time.strftime(f"%{code}", moment) + "|"


def test_one_start_token_though_the_tokenizer_also_adds_one():
    from tokenizers import processors

    backend = train()
    start = backend.token_to_id("<|endoftext|>")
    backend.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", start)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|endoftext|>")
    assert tokenizer("x")["input_ids"][0] == start
    for template in (None, GEMMA):
        tokenizer.chat_template = template
        prompt_format = TextFormat(TextEncoder(tokenizer))
        identifier = prompt_format.encoder.single_token("A")
        parts = [
            prompt_format.prefix(TEMPLATES["passage"], words, query).ids
            for words in (None, "Rank.")
            for query in ("who?", ["a", "b"])
        ]
        assert all(ids[0] == start and ids.count(start) == 1 for ids in parts)
        assert start not in prompt_format.candidates(["x"], [identifier])[0].ids
        assert start not in prompt_format.suffix(TEMPLATES["passage"], "exclude")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('only for tools') }}", "TemplateError: only for tools"),
        ("{{ messages[0].content + 1 }}", "TypeError"),
        ("{{ nothing.there }}", "UndefinedError: 'nothing' is undefined"),
        ("{% for m in messages %}", "TemplateSyntaxError"),
    ],
)
def test_a_template_that_raises_is_named_with_the_cause(template, reason):
    with pytest.raises(
        ValueError, match="chat template of 'their/model' cannot lay out a user's turn"
    ) as error:
        chat_frame(speaking(template, "their/model"))
    assert reason in str(error.value)
    assert "tokenizer_config.json" in str(error.value)
    assert isinstance(error.value.__cause__, TemplateError | TypeError)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("<|im_start|>hello", "drops or rewrites the user's message"),
        ("{{ messages[0].content | upper }}", "drops or rewrites"),
        ("{{ messages[0].content[:4] }}", "drops or rewrites"),
        ("{{ messages[0].content }} I repeat: {{ messages[0].content }}", "shows the user's message 2 times"),
    ],
)
def test_a_template_must_show_the_message_once(template, reason):
    with pytest.raises(ValueError, match=rf"chat template of 'their/model' {reason}"):
        TextFormat(TextEncoder(speaking(template, "their/model")))


def test_of_several_templates_the_default_one_is_used():
    tokenizer = speaking({"default": PHI, "rag": "{{ raise_exception('documents, please') }}"})
    assert chat_frame(tokenizer)[0] == "<|user|>\n"


def test_a_system_turn_or_the_opening_of_the_users():
    rank = "You rank."
    assert chat_frame(speaking(DEFAULT_SYSTEM), rank)[0] == (
        f"<|im_start|>system\n{rank}<|im_end|>\n<|im_start|>user\n"
    )
    assert chat_frame(speaking(GEMMA), rank)[0] == f"<|endoftext|><start_of_turn>user\n{rank}\n\n"
    assert chat_frame(speaking(MISTRAL), rank) == (f"<|endoftext|>[INST] {rank}\n\n", " [/INST] ")
    assert chat_frame(speaking(DEEPSEEK_R1), rank)[1] == "<｜Assistant｜><think>\n\n</think>\n\n"
    drops = "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\nA:{% endif %}{% endfor %}"
    assert chat_frame(speaking(drops), rank) == (f"Q: {rank}\n\n", "\nA:")


def test_no_placeholder_is_left_in_any_frame():
    for template in (QWEN3, ALWAYS_THINKS, DEEPSEEK_R1, LLAMA3, GEMMA, MISTRAL, PHI, HARMONY, DEFAULT_SYSTEM):
        assert "\u2063" not in "".join(chat_frame(speaking(template)))
