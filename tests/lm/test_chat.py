import pytest
from tokenizers import normalizers
from transformers import PreTrainedTokenizerFast

from headstart.episode import Example
from headstart.errors import BaseRefused, ExamplesError
from headstart.lm.chat import Chat
from headstart.lm.tiny import CHATML, tiny_tokenizer

RED, BLUE, SKY = Example.pair("red?", "R"), Example.pair("blue?", "B"), Example.pair("What is the sky?", "Blau, öfter grau.")
TERSE = ("system", "Be terse.")


def chat_of(template: str | None = CHATML, context: int = 512) -> Chat:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return Chat(tokenizer, context)


def rendered(tokenizer: PreTrainedTokenizerFast, *examples: Example) -> tuple[int, ...]:
    turns = [{"role": role, "content": content} for e in examples for role, content in e.messages]
    return tuple(tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False).input_ids)


def as_text(chat: Chat, tokens: tuple[int, ...]) -> str:
    return str(chat.tokenizer.decode(list(tokens)))


@pytest.mark.parametrize("example", [RED, SKY, Example((TERSE, *RED.messages)), Example((*RED.messages, *BLUE.messages))])
def test_prompt_and_completion_are_the_template_s_own_rendering(chat: Chat, example: Example) -> None:
    # Behind the end mark ChatML writes a line break, which nobody has to predict.
    assert chat.lay(example).tokens + chat._marks.tokens("\n") == rendered(chat.tokenizer, example)


def test_only_the_answer_and_its_end_mark_are_to_be_predicted(chat: Chat) -> None:
    encoded = chat.lay(SKY)
    assert as_text(chat, encoded.completion) == "Blau, öfter grau.<|im_end|>"
    assert as_text(chat, encoded.prompt).endswith("<|im_start|>assistant\n")
    assert encoded.targets == tuple(range(len(encoded.prompt), len(encoded)))


def test_the_end_mark_is_learnt_although_it_is_the_padding(chat: Chat) -> None:
    assert chat.tokenizer.pad_token_id == chat.tokenizer.eos_token_id
    assert chat.lay(RED).completion[-1] == chat.tokenizer.eos_token_id


def test_examples_before_stand_as_earlier_turns_and_are_given(chat: Chat) -> None:
    encoded = chat.lay(SKY, before=[RED, BLUE])
    assert encoded.tokens + chat._marks.tokens("\n") == rendered(chat.tokenizer, RED, BLUE, SKY)
    assert encoded.completion == chat.lay(SKY).completion
    assert encoded.earlier == ()


def test_a_chain_is_one_conversation_in_which_every_answer_is_to_be_predicted(chat: Chat) -> None:
    encoded = chat.chain([RED, BLUE, SKY])
    assert encoded.tokens + chat._marks.tokens("\n") == rendered(chat.tokenizer, RED, BLUE, SKY)
    learnt = tuple(encoded.tokens[i] for i in encoded.targets)
    assert as_text(chat, learnt) == "R<|im_end|>B<|im_end|>Blau, öfter grau.<|im_end|>"


def test_a_chain_of_one_is_the_example(chat: Chat) -> None:
    assert chat.chain([SKY]) == chat.lay(SKY)


def test_a_template_that_rewrites_earlier_turns_leaves_only_the_last_answer_to_be_predicted() -> None:
    forgetful = chat_of(
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['role'] != 'assistant' or loop.last %}{{ m['content'] }}{% endif %}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    encoded = forgetful.chain([RED, BLUE])
    assert as_text(forgetful, tuple(encoded.tokens[i] for i in encoded.targets)) == "B<|im_end|>"
    assert encoded.tokens + forgetful._marks.tokens("\n") == rendered(forgetful.tokenizer, RED, BLUE)


def test_a_system_message_stands_once_and_first(chat: Chat) -> None:
    told = Example((TERSE, *SKY.messages))
    wanted = rendered(chat.tokenizer, Example((TERSE, *RED.messages)), SKY)
    assert chat.lay(told, before=[RED]).tokens + chat._marks.tokens("\n") == wanted
    assert chat.lay(SKY, before=[Example((TERSE, *RED.messages))]).tokens + chat._marks.tokens("\n") == wanted
    assert chat.lay(told, before=[Example((TERSE, *RED.messages))]).tokens + chat._marks.tokens("\n") == wanted


def test_examples_under_different_system_messages_each_tell_their_own(chat: Chat) -> None:
    told, other = Example((TERSE, *RED.messages)), Example((("system", "Be long."), *SKY.messages))
    wanted = [
        Example.pair(f"Be terse.\n\n{RED.prompt}", RED.completion),
        BLUE,
        Example.pair(f"Be long.\n\n{SKY.prompt}", SKY.completion),
    ]
    assert chat.chain([told, BLUE, other]) == chat.chain(wanted)
    assert chat.lay(other, before=[told, BLUE]) == chat.lay(wanted[-1], before=wanted[:-1])
    assert chat.chain([BLUE, told]) == chat.chain([Example((TERSE, *BLUE.messages)), RED]), "one for all of them stands in front"


def test_what_the_system_tells_before_an_assistant_that_begins_is_a_question_of_its_own(chat: Chat) -> None:
    greeted = (("assistant", "Hello."), *RED.messages)
    other = Example((("system", "Be long."), *SKY.messages))
    assert chat.chain([Example((TERSE, *greeted)), other]) == chat.chain(
        [Example((("user", "Be terse."), *greeted)), Example.pair(f"Be long.\n\n{SKY.prompt}", SKY.completion)]
    )


def test_a_prompt_is_what_an_example_begins_with(chat: Chat) -> None:
    assert chat.prompt(SKY.messages[:-1]) == chat.lay(SKY).prompt
    assert chat.prompt([TERSE, ("user", "a")], before=[RED]) == chat.lay(Example((TERSE, ("user", "a"), ("assistant", "b"))), [RED]).prompt


def test_an_example_as_long_as_the_context_fits_and_one_token_more_does_not() -> None:
    length = len(chat_of().lay(SKY))
    assert len(chat_of(context=length).example(SKY)) == length
    with pytest.raises(ExamplesError, match=rf"{length} tokens does not fit the model's context of {length - 1}.*'What is the sky\?'"):
        chat_of(context=length - 1).example(SKY)


def test_without_a_template_a_line_break_divides_prompt_and_answer() -> None:
    plain = chat_of(None)
    encoded = plain.lay(RED)
    assert as_text(plain, encoded.prompt) == "red?\n"
    assert as_text(plain, encoded.completion) == "R<|im_end|>"
    assert plain.stops == (plain.tokenizer.eos_token_id,)


def test_what_stands_before_the_end_mark_is_learnt_but_does_not_stop_an_answer() -> None:
    spaced = chat_of("{% for m in messages %}{{ m['content'] }}\n<|im_end|>{% endfor %}")
    assert as_text(spaced, spaced.lay(RED).completion) == "R\n<|im_end|>"
    assert spaced.stops == (spaced.tokenizer.eos_token_id,)


def test_the_template_s_mark_and_the_end_of_text_both_stop_an_answer() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "Z"
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    assert Chat(tokenizer, 512).stops == tuple(tokenizer.convert_tokens_to_ids(["Z", "<|im_end|>"]))


def test_text_leaves_the_marks_out(chat: Chat) -> None:
    assert chat.letters.text(chat.lay(SKY).completion) == "Blau, öfter grau."


def test_a_template_that_refuses_a_conversation_is_quoted() -> None:
    strict = chat_of("{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}{% endfor %}")
    with pytest.raises(ExamplesError, match=r"refuses a conversation of system, user.*no system role"):
        strict.prompt([TERSE, ("user", "a")])


def test_a_tokenizer_without_an_end_of_text_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(BaseRefused, match="end-of-text"):
        Chat(tokenizer, 512)


def test_hashes_tell_tokenizers_and_templates_apart(chat: Chat) -> None:
    assert chat_of().tokenizer_hash == chat.tokenizer_hash
    assert chat_of().template_hash == chat.template_hash
    other = tiny_tokenizer()
    other.add_tokens(["zzz"])
    assert Chat(other, 512).tokenizer_hash != chat.tokenizer_hash
    lower = tiny_tokenizer()
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    assert lower.get_vocab() == chat.tokenizer.get_vocab()
    assert Chat(lower, 512).tokenizer_hash != chat.tokenizer_hash, "the same words by other rules"
    assert chat_of(CHATML + " ").template_hash != chat.template_hash
