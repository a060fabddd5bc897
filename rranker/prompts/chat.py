"""The text a chat template puts around a user's message, up to the place where the model's answer begins."""

from __future__ import annotations

from typing import Any, NoReturn

_MESSAGE, _ANSWER = "\u2063rranker\u2063", "\u2063answer\u2063"  # stand for the prompt and for the answer
_DATE = "26 Jul 2024"
"""Templates that write today's date get this one (Llama 3's own default), or rankings would change with the day."""
# fmt: off
_STRFTIME = {
    "d": "26", "-d": "26", "e": "26", "j": "208", "a": "Fri", "A": "Friday", "b": "Jul", "B": "July", "m": "07",
    "-m": "7", "y": "24", "Y": "2024", "H": "00", "-H": "0", "I": "12", "-I": "12", "p": "AM", "M": "00", "-M": "0",
    "S": "00", "-S": "0", "f": "000000", "z": "", "Z": "", "F": "2024-07-26", "D": "07/26/24", "x": "07/26/24",
    "T": "00:00:00", "X": "00:00:00", "c": "Fri Jul 26 00:00:00 2024",
}
# fmt: on
# transformers hands a template its own clock, and no caller's function: a macro of the same name goes before it.
_FROZEN_CLOCK = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f".replace('%{code}', '{value}')" for code, value in _STRFTIME.items())
    + " }}{% endmacro %}\n"
)
_THOUGHTS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"))


def chat_frame(tokenizer: Any, system: str | None = None, *, thinking: bool = False) -> tuple[str, str]:
    """What the tokenizer's chat template writes before and after a user's message; the answer comes next.

    Thinking is switched off where the template knows how, and a thought that the template opens all the same is
    closed: the answer must not be read as part of it. A date is a fixed one. A default system prompt is kept;
    `system` replaces it, and opens the user's message where the template refuses or drops a system turn. With
    `thinking` it is switched on instead, and a thought comes next: one that the template opens stays open.

    Raises ValueError when the template raises, or does not show the message exactly once.
    """
    if system is None:
        return _frame(tokenizer, [], thinking)
    try:
        before, after = _frame(tokenizer, [{"role": "system", "content": system}], thinking)
    except ValueError:
        before, after = "", ""
    if system not in before:
        before, after = _frame(tokenizer, [], thinking)
        before += system + "\n\n"
    return before, after


def thought_tags(tokenizer: Any) -> tuple[str, str]:
    """What opens and closes a thought in the tokenizer's chat template; `<think>` and `</think>` where it has none."""
    template = str(tokenizer.get_chat_template()) if getattr(tokenizer, "chat_template", None) else ""
    return next((tags for tags in _THOUGHTS if tags[1] in template), _THOUGHTS[0])


def is_open(text: str, tags: tuple[str, str]) -> bool:
    """Whether `text` ends inside a thought of these tags."""
    return text.rfind(tags[0]) > text.rfind(tags[1])


def _frame(tokenizer: Any, opening: list[dict[str, str]], thinking: bool) -> tuple[str, str]:
    turns = [*opening, {"role": "user", "content": _MESSAGE}]
    prompt = _render(tokenizer, turns, add_generation_prompt=True, thinking=thinking)
    if _MESSAGE not in prompt:
        _refuse(tokenizer, "drops or rewrites the user's message, so no prompt can be laid in it")
    before, after, *again = prompt.split(_MESSAGE)
    if again:
        _refuse(tokenizer, f"shows the user's message {len(again) + 1} times, so no prompt can be laid in it")
    if thinking:
        return before, after
    return before, _close_thought(after + _until_answer(tokenizer, turns, prompt))


def _close_thought(text: str) -> str:
    """`text`, its last thought ended where it stands open. The spacing of an empty one is Qwen3's and DeepSeek's."""
    for opened, closed in _THOUGHTS:
        if is_open(text, (opened, closed)):
            said = text.rstrip()
            return f"{said}\n\n{closed}\n\n" if said.endswith(opened) else f"{said}\n{closed}\n\n"
    return text


def _until_answer(tokenizer: Any, turns: list[dict[str, str]], prompt: str) -> str:
    """What the template writes between its generation prompt and an answer: a space, an empty thought, a channel.

    Empty where the template writes a given answer in another way than one to be generated.
    """
    try:
        answered = _render(tokenizer, [*turns, {"role": "assistant", "content": _ANSWER}])
    except ValueError:  # a template may be made for single turns
        return ""
    if answered.count(_ANSWER) != 1 or not answered.startswith(prompt):
        return ""
    return answered[len(prompt) : answered.index(_ANSWER)]


def _render(
    tokenizer: Any,
    turns: list[dict[str, str]],
    *,
    add_generation_prompt: bool = False,
    thinking: bool = False,
) -> str:
    try:
        template = tokenizer.get_chat_template()
        if "strftime_now" in template:
            template = _FROZEN_CLOCK + template
        return str(
            tokenizer.apply_chat_template(
                turns,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                enable_thinking=thinking,  # Qwen3, GLM, SmolLM3
                thinking=thinking,  # Kimi, Granite
                date_string=_DATE,  # Llama 3
            )
        )
    except ImportError:  # jinja2 is missing: the message says so
        raise
    except Exception as error:  # a template is a program, which may raise anything
        _refuse(tokenizer, f"cannot lay out a user's turn: {type(error).__name__}: {error}", error)


def _refuse(tokenizer: Any, reason: str, cause: Exception | None = None) -> NoReturn:
    name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
    raise ValueError(
        f"the chat template of {name!r} {reason}. Mend its chat_template (chat_template.jinja, or the entry in "
        "tokenizer_config.json), or remove it to rank with plain text prompts"
    ) from cause
